//! What an operator's function asks of the writer.

mod holds;
mod registration;
mod rows;
mod settings;

pub use holds::HoldSet;
pub use registration::{Registration, Removed};
pub use rows::{ReopenFilter, Reopened};
pub use settings::SettingsChanged;
