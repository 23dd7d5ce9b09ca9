//! `GET /migrations`: many repositories, a page at a time.

use std::time::Duration;

use lambda_http::{Body, Response, http::StatusCode};
use serde::Serialize;
use shared::{
    endpoint::{Served, ServedBy},
    migration::{ContainerRepository, RepositoryPath, State},
    store::{self, ListFilter},
    telemetry::as_text,
    web::{Problem, Query, json, number},
};

use crate::handler::Call;

pub(crate) const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 500;

#[derive(Serialize)]
struct Page {
    served_by: ServedBy,
    repositories: Vec<ContainerRepository>,
    /// Where the next page begins: to be sent as `after`. None on the last page.
    next: Option<RepositoryPath>,
}

pub(crate) async fn page(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let query = Query::of(call.request, &["state", "prefix", "older_than_seconds", "after", "limit"])?;
    let limit = query.get("limit", limit)?.unwrap_or(DEFAULT_LIMIT);
    let seconds = query.get("older_than_seconds", number(0..=u32::MAX.into()))?;
    let filter = ListFilter {
        state: query.get("state", State::parse)?,
        prefix: query.get("prefix", str::parse)?.unwrap_or_default(),
        older_than: seconds.map(|seconds| Duration::from_secs(seconds.unsigned_abs())),
        after: query.get("after", RepositoryPath::parse)?,
        limit,
    };
    let Served { found, by: served_by } = call.deps.lists.list(&filter, call.budget.deadline()).await?;
    let store::Page { rows: repositories, more } = found;
    let next = repositories.last().filter(|_| more).map(|row| row.path.clone());
    tracing::info!(rows = repositories.len(), served_by = as_text(&served_by), "list");
    Ok(json(StatusCode::OK, &Page { served_by, repositories, next }, call.id))
}

/// How many a page holds at most.
pub(crate) fn limit(text: &str) -> Result<u32, String> {
    let outside = || format!("a number from 1 to {MAX_LIMIT} is expected");
    text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or_else(outside)
}
