//! Which endpoint is read, over which transport, and what happens when the reader lags or fails.

mod conformance;
pub(crate) mod direct;
mod race;
mod reading;
mod topologies;
