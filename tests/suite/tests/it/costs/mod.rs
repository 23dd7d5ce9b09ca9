//! What an operation costs: calls, pages read, and what it is made of.

mod calls;
mod claim;
mod crates;
mod shown;
