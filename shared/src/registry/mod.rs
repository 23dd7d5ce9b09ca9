//! The registry's client: the token, the calls, the answers interpreted.
//!
//! It tells what the registry said, by status code **and** error code, and what is known when it said nothing.
//! It decides nothing: the core does.

mod answer;
mod catalogue;
mod client;
mod exchange;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod interpret;
mod list;
mod names;
mod signing;
#[cfg(test)]
pub(crate) mod tests;
mod token;

pub use answer::{CancelAnswer, PreImportCode, ProbeAnswer, StartAnswer, StatusAnswer};
pub use client::{RegistryClient, RegistryClientConfig, RegistryConfigError};
pub use list::{Incomplete, ListPage, ListWalk, Refusal};
pub use signing::{KeySource, SigningKey};
pub use token::{InvalidKey, check_signing_key};
