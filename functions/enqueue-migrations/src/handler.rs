//! On a schedule: starts what is due while slots are free.

use std::sync::Arc;

use shared::{
    driver::{Sweep, sweep},
    endpoint::{Claim, EndpointError},
    registry::RegistryClient,
    runtime::Budget,
    store::Store,
    telemetry::as_text,
};

/// What the handler works with, made once per process.
pub struct Deps {
    /// The writer.
    pub store: Store<Claim>,
    /// The registry.
    pub registry: RegistryClient,
}

/// One sweep.
///
/// # Errors
/// [`EndpointError`] when the writer did not answer: the schedule tries again.
pub async fn handle(deps: Arc<Deps>, budget: Budget) -> Result<Sweep, EndpointError> {
    let sweep = sweep(&deps.store, &deps.registry, budget.deadline()).await?;
    tracing::info!(sweep = as_text(&sweep), served_by = "writer", "finished a sweep");
    Ok(sweep)
}
