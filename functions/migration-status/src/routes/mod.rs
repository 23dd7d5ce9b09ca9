//! The routes, a file each.

pub mod attention;
pub mod checkup;
pub mod describe;
pub mod history;
pub mod list;
pub mod prefixes;
pub mod progress;
pub mod proof;
pub mod report;
pub mod status;
pub mod summary;
