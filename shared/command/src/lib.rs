//! The command line. It asks the registries nothing itself and copies nothing itself: that is the importer's.

pub mod amounts;
pub mod arguments;
pub mod credentials;
pub mod database;
pub mod exit;
pub mod forecast;
pub mod limits;
pub mod log;
pub mod memory;
pub mod names;
pub mod operate;
pub mod plan;
pub mod proof;
pub mod run;
pub mod screen;
pub mod signals;
pub mod state;
