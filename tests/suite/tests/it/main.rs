//! The integration tests: the functions as real processes under cargo lambda, on a real primary and replica,
//! the Data API and a registry that copies real images.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod concurrency;
mod costs;
mod deployment;
mod failures;
mod importer;
mod migrating;
mod operating;
mod project;
mod reads;
mod routes;
mod schedules;
