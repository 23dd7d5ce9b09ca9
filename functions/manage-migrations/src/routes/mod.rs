//! The routes, a file for what belongs together.

pub mod accept;
pub mod catalogue;
pub mod check;
pub mod explain;
pub mod holds;
pub mod register;
pub mod remove;
pub mod reopen;
pub mod retire;
pub mod retry;
pub mod settings;
