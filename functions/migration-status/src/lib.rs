//! Shows how migrations stand, from the reader.

pub mod config;
pub mod deps;
mod page;
pub mod router;
mod routes;
mod version;
