//! What operators change: repositories, migrations, settings.

pub mod config;
pub mod deps;
mod list;
pub mod router;
mod routes;
