//! The steps of a migration: core decisions, store and registry put together.
//!
//! Commit before call: a row is committed before the registry is asked, and what the registry answers is then
//! recorded by what is known of it. Whatever happens between the two is something that can be asked for later.
//!
//! * [`start()`] claims one repository and a slot for it; [`fill_slot`] and [`sweep()`] claim what is due next.
//! * [`start_claimed()`] and [`ask_registry`] ask the registry for the step of a row that was claimed. `decision` says what
//!   its answer means for the row, and the answer is recorded where the row does not say so already.
//! * [`apply_notification`] applies how a step ended in one statement, and returns what is left to do; [`follow_up`] does
//!   that, once the registry has read its answer.
//! * [`Guardian`] leases rows that seem stuck, asks the registry about each, and repairs them; [`reconcile`] does the same
//!   for one row.
//! * [`compare_tags`] compares the tags of a repository that is done with those from before.
//! * [`give_up`], [`retry`], [`explain`] and [`register_catalogue`] are what operators ask for; [`Observer`] counts.

mod ask;
pub mod decision;
mod fill;
mod guard;
mod manage;
mod notify;
mod observe;
#[cfg(test)]
mod scripted;
mod start;
mod start_claimed;
mod sweep;
mod tags;
#[cfg(test)]
mod tests;

use uuid::Uuid;

use crate::migration::AttemptId;

pub use ask::{Asked, Patience, ask_registry};
pub use decision::StepStatus;
pub use fill::{Filled, Why, fill_slot};
pub use guard::{GuardSummary, Guardian, TagsSummary, reconcile};
pub use manage::{
    CatalogueEnd, CatalogueRegistered, Check, Explained, GaveUp, GiveUp, RegistryCheck, check_registry,
    explain, give_up, register_catalogue, retry,
};
pub use notify::{AppliedNotification, FollowUp, apply_notification, follow_up, left_to_do};
pub use observe::{Counted, Lag, Observation, Observer};
pub use start::{StartOutcome, start};
pub use start_claimed::start_claimed;
pub use sweep::{Sweep, sweep};
pub use tags::{TagsCompared, compare_tags};

/// A new id for a change, and for the attempt the change may begin.
fn new_change() -> AttemptId {
    AttemptId::new(Uuid::new_v4())
}
