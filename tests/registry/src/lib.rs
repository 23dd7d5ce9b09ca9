//! A local container registry that speaks the import protocol of GitLab's container registry v3.71.0 (April 2023,
//! the last release with the online import API) and really copies images between two storages.
//!
//! Beside it, a registry that speaks the distribution API alone, as others do: [`Distribution`].
//!
//! Start a [`Registry`], give it [`Rule`]s to misbehave by, and look at its [`Journal`].

mod book;
pub mod comparison;
mod config;
pub mod conformance;
mod decide;
pub mod digest;
mod distribution;
mod engine;
mod error_code;
mod http;
mod import;
mod journal;
mod keys;
mod lock;
mod name;
mod notification;
mod registry;
mod rules;
mod server;
mod status;
pub mod storage;
mod token;

pub use book::Entry;
pub use config::{Config, Notification, StepTime};
pub use distribution::{
    AbsentRepository, Access, Chance, Credentials, Distribution, DistributionConfig, Fault, FaultEffect,
    FaultId, Faults, HoldPoint, ImmutableTags, Kind, Links, MadeUp, OpenUpload, Personality, Quota, Record,
    Settings, Traffic,
};
pub use error_code::ErrorCode;
pub use journal::{Delivery, Journal, NotificationRecord, RequestRecord};
pub use keys::{NoKey, SigningKeys, certifies};
pub use name::{is_repository_name, is_tag};
pub use registry::{Registry, Restart};
pub use rules::{Effect, Point, Rule, RuleId, Rules, When};
pub use status::{Operation, Report, Status, Step};
pub use token::{LEEWAY_SECONDS, TokenCheck};
