//! A strict local RDS Data API in front of PostgreSQL servers.
//!
//! It answers as the current Data API of Aurora PostgreSQL does, refusals included: what passes here and fails
//! there would make tests worthless. Where nobody could check against AWS, the stricter reading was taken;
//! each conformance case says how it is known.

mod bind;
mod bounded;
mod call;
mod config;
mod control;
mod decode;
mod dial;
mod error;
mod execute;
mod faults;
mod field;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod hints;
mod journal;
mod metadata;
mod pool;
mod records;
mod respond;
mod run;
mod server;
mod service;
mod session;
mod shared;
mod signature;
mod sql;
mod transactions;
mod validate;
mod wire;

pub use config::{AnyArn, Cluster, ClusterState, Config, Limits, Secret};
pub use error::ErrorCode;
pub use faults::{Effect, Fault, When};
pub use journal::{Call, Outcome};
pub use server::DataApi;
pub use wire::Operation;
