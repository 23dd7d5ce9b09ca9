//! On a schedule: looks after what seems stuck.

use std::sync::Arc;

use shared::{
    driver::{GuardSummary, Guardian, TagsSummary},
    endpoint::EndpointError,
    runtime::Budget,
    telemetry::as_text,
};

/// One round.
///
/// # Errors
/// [`EndpointError`] when the writer did not answer: the schedule tries again.
pub async fn handle(guardian: Arc<Guardian>, budget: Budget) -> Result<GuardSummary, EndpointError> {
    let summary = guardian.round(budget.deadline()).await?;
    tracing::info!(summary = as_text(&summary), served_by = "writer", "finished a guard round");
    match guardian.compare_tags(budget.deadline()).await {
        Ok(TagsSummary { taken, missing, unverified, not_listed }) => {
            tracing::info!(taken, missing, unverified, not_listed, "compared tags");
        }
        // They come again.
        Err(error) => tracing::error!(%error, "tags could not be compared"),
    }
    Ok(summary)
}
