//! `GET /migrations/summary`: the whole.

use lambda_http::{Body, Response, http::StatusCode};
use serde::Serialize;
use shared::{
    driver::Served,
    store::Census,
    web::{Problem, Query, json},
};

use crate::handler::Call;

#[derive(Serialize)]
struct Whole {
    served_by: Served,
    #[serde(flatten)]
    census: Census,
}

pub(crate) async fn summary(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    Query::of(call.request, &[])?;
    let census = call.deps.summaries.census(call.budget.deadline()).await?;
    let census = census.ok_or_else(|| {
        tracing::error!("the database has no settings");
        Problem::defect()
    })?;
    tracing::info!(left = census.left, served_by = "reader", "summary");
    Ok(json(StatusCode::OK, &Whole { served_by: Served::Reader, census }, call.id))
}
