//! The importer: its rows, its steps between registries, and the import protocol that it answers.

pub mod bench;
mod cases;
mod copies;
mod drift;
mod inventory;
mod plans;
mod protocol;
mod reading;
mod removing;
mod restarts;
mod rows;
mod scene;
mod writing;
