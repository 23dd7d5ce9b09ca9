//! `GET /migrations/prefixes`: how many repositories each prefix has, by state.

use lambda_http::{Body, Response};
use serde::Serialize;
use shared::{
    endpoint::Served,
    migration::RepositoryPath,
    store::{self, PrefixCount, PrefixFilter},
    telemetry::as_text,
    web::{Problem, Query},
};

use crate::{deps::Call, page::limit_up_to};

/// How many rows one page counts.
const MAX_ROWS: u32 = 10_000;

#[derive(Serialize)]
struct Page {
    prefixes: Vec<PrefixCount>,
    /// Where the next page begins: to be sent as `after`. Its first prefix may be this page's last: then both are parts of
    /// it. None on the last page.
    next: Option<RepositoryPath>,
}

/// Counts the repositories below the query's prefix, by the next part of their paths.
pub async fn prefixes(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let query = Query::of(call.request, &["prefix", "after", "limit"])?;
    let filter = PrefixFilter {
        prefix: query.get("prefix", str::parse)?.unwrap_or_default(),
        after: query.get("after", RepositoryPath::parse)?,
        rows: limit_up_to(MAX_ROWS, &query)?.unwrap_or(MAX_ROWS),
    };
    let Served { found, by: served_by } = call.deps.lists.prefixes(&filter, call.deadline()).await?;
    let store::Page { rows: prefixes, more } = found;
    let next = if more { prefixes.last().map(|row| row.last.clone()) } else { None };
    tracing::info!(rows = prefixes.len(), served_by = as_text(&served_by), "answered a request for prefixes");
    Ok(call.ok(served_by, Page { prefixes, next }))
}
