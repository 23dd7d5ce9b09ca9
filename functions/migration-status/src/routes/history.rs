//! `GET /migrations/history/<path>`: what happened to one repository, a page at a time.

use lambda_http::{Body, Response};
use serde::Serialize;
use shared::{
    migration::RepositoryPath,
    store::{History, HistoryPage},
    telemetry::as_text,
    web::{Problem, Query, number},
};

use crate::{
    deps::Call,
    page::limit,
    version::{min_version, not_before},
};

#[derive(Serialize)]
struct Page {
    #[serde(flatten)]
    history: History,
    /// Where the next page begins: to be sent as `after`. None on the last page.
    next: Option<i64>,
}

/// Shows a repository's transitions, oldest first.
pub async fn history(call: &Call<'_>, path: &RepositoryPath) -> Result<Response<Body>, Problem> {
    let query = Query::of(call.request, &["min_version", "after", "limit"])?;
    let min_version = min_version(&query)?;
    let after = query.get("after", number(0..=i64::MAX))?.unwrap_or(0);
    let page = HistoryPage { after, limit: limit(&query)? };
    let served = call.deps.histories.history(path, page, min_version, call.deadline()).await?;
    let (served_by, history) = not_before(min_version, served, |history| history.version)?;
    let next = if history.more { history.transitions.last().map(|transition| transition.id) } else { None };
    tracing::info!(%path, rows = history.transitions.len(), served_by = as_text(&served_by), "answered a history request");
    Ok(call.ok(served_by, Page { history, next }))
}
