//! Secrets by ARN. Their values reach no log, no error and no `Debug` output.

mod form;
mod max_age;
mod misses;
mod reader;
mod shared;

pub use form::check_value;
pub use max_age::{InvalidMaxAge, SecretMaxAge};
pub use reader::{SecretError, SecretReader};
pub use shared::SharedSecret;

#[cfg(test)]
pub(crate) mod store;
#[cfg(test)]
mod tests;
