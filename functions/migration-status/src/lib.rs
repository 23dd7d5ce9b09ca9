//! Shows how migrations stand, from the reader.

pub mod config;
mod dashboard;
pub mod deps;
mod page;
pub mod router;
pub mod routes;
mod version;
