//! `GET /migrations/progress`: how fast it goes.

use lambda_http::{Body, Response};
use shared::{
    endpoint::Served,
    telemetry::as_text,
    web::{Problem, Query, number},
};

use crate::deps::Call;

/// The longest time that is shown, in hours: a week.
const MAX_HOURS: i64 = 168;

/// Counts what has ended in each part of the last hours.
pub async fn progress(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let query = Query::of(call.request, &["hours"])?;
    let hours = query.get("hours", number(1..=MAX_HOURS))?.unwrap_or(1);
    let Served { found, by: served_by } = call.deps.summaries.progress(hours, call.deadline()).await?;
    let progress = found.ok_or_else(Problem::defect)?;
    tracing::info!(hours, served_by = as_text(&served_by), "answered a progress request");
    Ok(call.ok(served_by, progress))
}
