//! The registry's client: the token, the calls, the answers interpreted.
//!
//! It tells what the registry said, by status code **and** error code, and what is known when it said nothing.
//! It decides nothing: the core does.

mod answer;
mod catalogue;
mod client;
mod exchange;
mod interpret;
mod signing;
#[cfg(test)]
mod tests;
mod token;

pub use answer::{CancelAnswer, PreImportCode, ProbeAnswer, StartAnswer, StatusAnswer};
pub use catalogue::{CatalogueAnswer, TagsAnswer};
pub use client::{RegistryClient, RegistryConfig, RegistryConfigError};
pub use signing::{KeySource, SigningKey};
