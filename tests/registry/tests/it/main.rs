//! The local registry over real HTTP: a test for each row of the import protocol and for each fault.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are tests")]

mod bench;
mod cancels;
mod control;
mod distribution;
mod faults_of_answers;
mod faults_of_imports;
mod images;
mod notifications;
mod program;
mod push;
mod receiver;
mod restarts;
mod starts;
mod tokens;
