//! A stack's resource: the database's schema and roles.

pub mod config;
pub mod handler;
mod login;

use std::time::Duration;

use shared::runtime::Budgets;

/// Five minutes: for a cluster that wakes up, and for another run's transaction that was left open and which the
/// service ends after three.
pub const BUDGETS: Budgets = Budgets { handler: Duration::MAX, invocation: Duration::from_secs(300) };

/// The resource's physical id. It never changes: CloudFormation would delete what had another one.
pub const PHYSICAL_ID: &str = "registry-migration-schema";
