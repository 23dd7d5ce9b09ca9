//! The registry migration driver's library. What each room promises stands at its head.

mod aws_errors;
mod budget;
pub mod config;
pub mod connections;
pub mod driver;
pub mod endpoint;
mod freshness;
mod lock;
pub mod migration;
pub mod registry;
pub mod runtime;
pub mod sql_lexer;
mod startup;
pub mod store;
pub mod telemetry;
pub mod tls;
pub mod web;
pub mod wiring;
