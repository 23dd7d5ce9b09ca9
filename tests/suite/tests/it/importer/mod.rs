//! The importer: its rows, and its steps between registries.

pub mod bench;
mod copies;
mod restarts;
mod rows;
mod scene;
