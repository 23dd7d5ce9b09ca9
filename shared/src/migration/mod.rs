//! The pure core: states, events, transitions, limits, decisions. No I/O, no clock, no async.
#![deny(clippy::disallowed_methods)]

mod attempt;
mod brake;
mod event;
pub mod foreign;
mod guard;
mod hold;
mod manage;
mod operator;
mod path;
mod plan;
mod prefix;
mod registry_view;
mod repository;
mod resumption;
mod settings;
mod state;
mod status;
mod tags;
mod transition;
mod whole;

#[cfg(test)]
mod table;
#[cfg(test)]
mod tests;

pub use attempt::AttemptId;
pub use brake::{Brake, Held, Signal};
pub use event::{Event, Settled, Situation};
pub use guard::{
    Cancelation, Due, FIRST_LOOK, Finding, GuardDecision, GuardSettings, LeaseState, LookTime, Looker,
    Remedy, Stuck, canceled_decision, first_check, first_look, guard_decision, who_looks,
};
pub use hold::{Hold, HoldChange, HoldNow, HoldPrefix, InvalidHold, TimeOfDay, Window};
pub use manage::{Acted, Explanation, InvalidSetting, Next, SettingsChange, Surroundings, explanation};
pub use operator::{InvalidOperator, Operator};
pub use path::{InvalidPath, RepositoryPath};
pub use plan::{AFTER_CANCEL, HELD_UNTIL, Limits, Made, Plan, PlannedStep, RowChange, TimestampChange};
pub use prefix::PathPrefix;
pub use registry_view::RegistryView;
pub use repository::ContainerRepository;
pub use resumption::{Resumption, resumption};
pub use settings::{Settings, StepTimes};
pub use state::{SkipReason, State, Step, UnknownName};
pub use status::{NotificationStatus, RegistryStatus};
pub use tags::{MissingTags, TagsChange, TagsCheck};
pub use transition::{AttemptChange, Refused, Retries, TimestampColumn, Transition};
pub use whole::{WholeNumber, whole};
