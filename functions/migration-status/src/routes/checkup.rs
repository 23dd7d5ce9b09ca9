//! `GET /doctor`: how the server that shows rows stands.

use lambda_http::{Body, Response};
use serde::Serialize;
use shared::{
    endpoint::Served,
    store::{self, schema::SCRIPTS},
    telemetry::as_text,
    web::{Problem, Query},
};

use crate::deps::Call;

#[derive(Serialize)]
struct Checkup {
    #[serde(flatten)]
    server: store::Checkup,
    /// The newest schema script that this version knows.
    expected_schema: Option<&'static str>,
}

/// Shows what a check-up asks of the database.
pub async fn checkup(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    Query::of(call.request, &[])?;
    let Served { found, by: served_by } = call.deps.summaries.checkup(call.deadline()).await?;
    let server = found.ok_or_else(Problem::defect)?;
    tracing::info!(schema = server.schema, served_by = as_text(&served_by), "answered a check-up");
    Ok(call.ok(served_by, Checkup { server, expected_schema: SCRIPTS.last().map(|(name, _)| *name) }))
}
