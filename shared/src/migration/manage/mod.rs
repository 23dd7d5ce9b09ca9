//! What an operator may do to a row, and what is to be expected of one.

mod explanation;
mod settings_change;

pub use explanation::{Acted, Explanation, Next, Surroundings, explanation};
pub use settings_change::{InvalidSetting, SettingsChange};
