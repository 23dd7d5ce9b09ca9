//! A stack's resource: the database's schema and roles.

use std::process::ExitCode;

use apply_schema::{BUDGETS, PHYSICAL_ID, handler::handle};
use shared::runtime::{process, run_custom_resource};

// The configuration is read for each event: a stack also waits for the reason why nothing can begin.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    process("apply-schema", run_custom_resource(BUDGETS, PHYSICAL_ID, handle)).await
}
