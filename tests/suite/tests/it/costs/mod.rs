//! What an operation costs: calls, and pages read.

mod calls;
pub(crate) mod explained;
mod shown;
