//! `GET /migrations/summary`: the whole.

use lambda_http::{Body, Response};
use shared::{
    endpoint::Served,
    telemetry::as_text,
    web::{Problem, Query},
};

use crate::deps::Call;

/// Counts everything that there is.
pub async fn summary(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    Query::of(call.request, &[])?;
    let Served { found, by: served_by } = call.deps.summaries.census(call.deadline()).await?;
    let census = found.ok_or_else(|| {
        tracing::error!("the database has no settings");
        Problem::defect()
    })?;
    tracing::info!(left = census.left, served_by = as_text(&served_by), "answered a summary request");
    Ok(call.ok(served_by, census))
}
