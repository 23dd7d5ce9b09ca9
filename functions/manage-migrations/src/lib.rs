//! What operators change: repositories, migrations, settings.

mod accepting;
pub mod config;
mod giving_up;
pub mod handler;
mod listing;
mod registering;
mod reopening;
mod route;
mod settings;
