//! Shows how migrations stand, from the reader.

pub mod config;
pub mod handler;
mod list;
mod one;
mod summary;
