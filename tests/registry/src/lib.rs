//! A local container registry that speaks the import protocol of GitLab's container registry v3.71.0 (April 2023,
//! the last release with the online import API) and really copies images between two storages.
//!
//! Start a [`Registry`], give it [`Rule`]s to misbehave by, and look at its [`Journal`].

mod book;
mod config;
mod decide;
pub mod digest;
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
pub use error_code::ErrorCode;
pub use journal::{Delivery, Journal, NotificationRecord, RequestRecord};
pub use keys::{NoKey, SigningKeys, certifies};
pub use name::{is_repository_name, is_tag};
pub use registry::{Registry, Restart};
pub use rules::{Effect, Point, Rule, RuleId, Rules, When};
pub use status::{Operation, Report, Status, Step};
pub use token::{LEEWAY_SECONDS, TokenCheck};
