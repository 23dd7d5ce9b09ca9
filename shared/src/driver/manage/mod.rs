//! What an operator does to repositories that already are known, and with the registry's catalogue.

mod catalogue;
mod check;
mod explain;
mod give_up;
mod retry;

pub use catalogue::{CatalogueEnd, CatalogueRegistered, register_catalogue};
pub use check::{Check, RegistryCheck, check_registry};
pub use explain::{Explained, explain};
pub use give_up::{GaveUp, GiveUp, give_up};
pub use retry::retry;
