//! The registry migration driver's library. What each room promises stands at its head.

pub mod config;
pub mod driver;
pub mod endpoint;
mod freshness;
pub mod migration;
pub mod registry;
pub mod runtime;
mod startup;
pub mod store;
pub mod telemetry;
pub mod web;
