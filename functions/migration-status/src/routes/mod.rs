//! The routes, a file each.

pub mod history;
pub mod list;
pub mod status;
pub mod summary;
