//! `GET /migrations/summary`: the whole.

use lambda_http::{Body, Response, http::StatusCode};
use serde::Serialize;
use shared::{
    driver::Served,
    endpoint::Summary,
    store::{Census, Store},
    telemetry::as_text,
    web::{Problem, Query, json},
};

use crate::handler::{Call, Deps};

#[derive(Serialize)]
struct Whole {
    served_by: Served,
    #[serde(flatten)]
    census: Census,
}

pub(crate) async fn summary(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    Query::of(call.request, &[])?;
    let Deps { summaries, reading, .. } = call.deps;
    let read = |deadline| summaries.census(deadline);
    let latest = |deadline| Store::latest_census(reading.writer(), deadline);
    let (census, served_by) = reading.serve::<Summary, _, _, _>(read, latest, call.budget.deadline()).await?;
    let census = census.ok_or_else(|| {
        tracing::error!("the database has no settings");
        Problem::defect()
    })?;
    tracing::info!(left = census.left, served_by = as_text(&served_by), "summary");
    Ok(json(StatusCode::OK, &Whole { served_by, census }, call.id))
}
