//! Fills free slots on a schedule.

pub mod config;
pub mod handler;
