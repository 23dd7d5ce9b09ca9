//! `GET /migrations/attention`: the repositories that somebody should look at, a page at a time.

use lambda_http::{Body, Response};
use serde::Serialize;
use shared::{
    endpoint::Served,
    migration::RepositoryPath,
    store::{self, AttentionFilter, AttentionRow},
    telemetry::as_text,
    web::{Problem, Query},
};

use crate::{deps::Call, page::limit_up_to};

/// How many short rows one page has.
const MAX_ROWS: u32 = 2000;

#[derive(Serialize)]
struct Page {
    repositories: Vec<AttentionRow>,
    /// Where the next page begins: to be sent as `after`. None on the last page.
    next: Option<RepositoryPath>,
}

/// Shows what failed, was given up, is stuck or has lost tags, in the order of the paths.
pub async fn attention(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let query = Query::of(call.request, &["prefix", "after", "limit"])?;
    let filter = AttentionFilter {
        prefix: query.get("prefix", str::parse)?.unwrap_or_default(),
        after: query.get("after", RepositoryPath::parse)?,
        limit: limit_up_to(MAX_ROWS, &query)?.unwrap_or(MAX_ROWS),
    };
    let Served { found, by: served_by } = call.deps.lists.attention(&filter, call.deadline()).await?;
    let store::Page { rows: repositories, more } = found;
    let next = if more { repositories.last().map(|row| row.path.clone()) } else { None };
    tracing::info!(
        rows = repositories.len(),
        served_by = as_text(&served_by),
        "answered a request for attention"
    );
    Ok(call.ok(served_by, Page { repositories, next }))
}
