//! Receives the registry's notifications.

pub mod config;
pub mod handler;
