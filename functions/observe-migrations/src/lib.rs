//! Counts, and measures the lag of the replica, on a schedule.

pub mod config;
pub mod handler;
pub mod metrics;
