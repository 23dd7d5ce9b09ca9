//! Reconciles what seems stuck with the registry, on a schedule.

pub mod config;
pub mod handler;
