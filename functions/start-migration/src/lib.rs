//! Begins one repository's migration.

pub mod config;
pub mod handler;
