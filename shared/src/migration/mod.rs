//! The pure core: states, events, transitions, limits, decisions. No I/O, no clock, no async.
#![deny(clippy::disallowed_methods)]

mod attempt;
mod path;
mod state;
mod status;

pub use attempt::AttemptId;
pub use path::{InvalidPath, RepositoryPath};
pub use state::{SkipReason, State, Step, UnknownName};
pub use status::{NotificationStatus, RegistryStatus};
