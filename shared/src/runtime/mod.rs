//! Runs a handler on Lambda, and work after its answer.
//!
//! A handler cannot end the process: a panic in it is answered, an overrun is answered, and so is what it
//! handed over with [`after_response::defer`] kept from ending the process.

pub mod after_response;

mod custom_resource;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod http;
mod layer;
mod process;
mod rounds;
mod schedule;
mod servable;
mod supervise;

pub use crate::budget::{Budget, Budgets};
pub use custom_resource::{RequestType, ResourceError, ResourceRequest, run_custom_resource};
pub use http::{run_http, run_http_within};
pub use process::process;
pub use rounds::Rounds;
pub use schedule::{ScheduleError, run_rounds, run_schedule, run_schedule_within};

#[cfg(test)]
mod tests;
