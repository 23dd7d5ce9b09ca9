//! On a schedule: looks after what seems stuck.

use std::sync::Arc;

use shared::{
    driver::{GuardSummary, Guardian},
    endpoint::EndpointError,
    runtime::Budget,
};

/// One round.
///
/// # Errors
/// [`EndpointError`] when the writer did not answer: the schedule tries again.
pub async fn handle(guardian: Arc<Guardian>, budget: Budget) -> Result<GuardSummary, EndpointError> {
    let summary = guardian.round(budget.deadline()).await?;
    tracing::info!(?summary, served_by = "writer", "guard");
    Ok(summary)
}
