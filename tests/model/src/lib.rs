//! A model of the whole protocol: driver processes, the writer, a reader that lags, a registry with few slots, a network
//! that loses, doubles, delays and reorders, crashes, the guard, the schedules, operators.
//!
//! stateright explores every order in which all of that can happen, within a number of faults. What the driver decides is
//! the real core's: [`decisions`] asks it, and holds nothing of its own. What SQL decides stands in [`statements`], which
//! the suite compares with the real database. The rest, which is where a process is between two calls, is in [`world`].

mod actions;
pub mod decisions;
mod driver;
mod explore;
mod flip;
mod model;
mod network;
mod operators;
mod registry;
mod settle;
pub mod statements;
mod trace;
pub mod world;
mod writer;

pub use actions::Action;
pub use explore::Explored;
pub use flip::Flip;
pub use model::{Met, Model, Violation};
