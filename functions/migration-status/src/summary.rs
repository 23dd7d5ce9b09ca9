//! `GET /migrations/summary`: the whole.

use lambda_http::{Body, Response, http::StatusCode};
use serde::Serialize;
use shared::{
    endpoint::{Served, ServedBy},
    store::Census,
    telemetry::as_text,
    web::{Problem, Query, json},
};

use crate::handler::Call;

#[derive(Serialize)]
struct Whole {
    served_by: ServedBy,
    #[serde(flatten)]
    census: Census,
}

pub(crate) async fn summary(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    Query::of(call.request, &[])?;
    let Served { found, by: served_by } = call.deps.summaries.census(call.budget.deadline()).await?;
    let census = found.ok_or_else(|| {
        tracing::error!("the database has no settings");
        Problem::defect()
    })?;
    tracing::info!(left = census.left, served_by = as_text(&served_by), "summary");
    Ok(json(StatusCode::OK, &Whole { served_by, census }, call.id))
}
