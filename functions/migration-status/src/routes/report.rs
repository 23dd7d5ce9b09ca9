//! `GET /migrations/report`: what became of each repository, a page at a time.

use lambda_http::{Body, Response};
use serde::Serialize;
use shared::{
    endpoint::Served,
    migration::RepositoryPath,
    store::{self, ReportFilter, ReportRow},
    telemetry::as_text,
    web::{Problem, Query},
};

use crate::{deps::Call, page::limit};

#[derive(Serialize)]
struct Page {
    repositories: Vec<ReportRow>,
    /// Where the next page begins: to be sent as `after`. None on the last page.
    next: Option<RepositoryPath>,
}

/// Shows each repository with its history summed up, in the order of the paths.
pub async fn report(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let query = Query::of(call.request, &["prefix", "after", "limit"])?;
    let filter = ReportFilter {
        prefix: query.get("prefix", str::parse)?.unwrap_or_default(),
        after: query.get("after", RepositoryPath::parse)?,
        limit: limit(&query)?,
    };
    let Served { found, by: served_by } = call.deps.lists.report(&filter, call.deadline()).await?;
    let store::Page { rows: repositories, more } = found;
    let next = if more { repositories.last().map(|row| row.path.clone()) } else { None };
    tracing::info!(
        rows = repositories.len(),
        served_by = as_text(&served_by),
        "answered a request for a report"
    );
    Ok(call.ok(served_by, Page { repositories, next }))
}
