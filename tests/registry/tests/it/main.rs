//! The local registry over real HTTP: a test for each row of the import protocol and for each fault.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are tests")]

mod bench;
mod cancels;
mod client;
mod conformance;
mod control;
mod debian;
mod distribution;
mod distribution_bench;
mod faults_of_answers;
mod faults_of_imports;
mod faults_of_requests;
mod images;
mod notifications;
mod personalities;
mod program;
mod push;
mod restarts;
mod settings;
mod starts;
mod tokens;
