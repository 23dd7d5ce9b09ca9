//! `GET /migrations`: many repositories, a page at a time.

use std::time::Duration;

use lambda_http::{Body, Response};
use serde::Serialize;
use shared::{
    endpoint::Served,
    migration::{ContainerRepository, RepositoryPath, State},
    store::{self, ListFilter},
    telemetry::as_text,
    web::{Problem, Query, number},
};

use crate::{deps::Call, page::limit};

#[derive(Serialize)]
struct Page {
    repositories: Vec<ContainerRepository>,
    /// Where the next page begins: to be sent as `after`. None on the last page.
    next: Option<RepositoryPath>,
}

/// Shows the repositories that the query's filters match, in the order of their paths.
pub async fn list(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let query = Query::of(call.request, &["state", "prefix", "older_than_seconds", "after", "limit"])?;
    let limit = limit(&query)?;
    let seconds = query.get("older_than_seconds", number(0..=u32::MAX.into()))?;
    let filter = ListFilter {
        state: query.get("state", State::parse)?,
        prefix: query.get("prefix", str::parse)?.unwrap_or_default(),
        older_than: seconds.map(|seconds| Duration::from_secs(seconds.unsigned_abs())),
        after: query.get("after", RepositoryPath::parse)?,
        limit,
    };
    let Served { found, by: served_by } = call.deps.lists.list(&filter, call.deadline()).await?;
    let store::Page { rows: repositories, more } = found;
    let next = if more { repositories.last().map(|row| row.path.clone()) } else { None };
    tracing::info!(rows = repositories.len(), served_by = as_text(&served_by), "answered a list request");
    Ok(call.ok(served_by, Page { repositories, next }))
}
