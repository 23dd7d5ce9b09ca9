//! The integration tests: the functions as real processes under cargo lambda, on a real primary and replica,
//! the Data API and a registry that copies real images.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod apply_schema;
mod brake;
mod calls;
mod chaos;
mod claims;
mod conformance;
mod direct;
mod evidence;
mod explained;
mod faults;
mod fleet;
mod foreign;
mod gateway;
mod guard;
mod handbooks;
mod history;
mod hostile;
mod listing;
mod manage;
mod model;
mod notification;
mod observation;
mod outage;
mod process;
mod race;
mod reading;
mod scripts;
mod start;
mod starting;
mod status;
mod switch;
mod template;
mod topologies;
mod unreliable;
