//! `GET /migrations/status/<path>` and `GET /migrations/history/<path>`: one repository.

use lambda_http::{
    Body, Response,
    http::{HeaderValue, StatusCode, header},
};
use serde::Serialize;
use shared::{
    endpoint::{Served, ServedBy},
    store::{History, HistoryPage},
    telemetry::as_text,
    web::{IfNoneMatch, Problem, Query, json, not_modified, number, repository_path},
};

use crate::{
    handler::Call,
    list::{DEFAULT_LIMIT, limit},
};

const STATUS: &str = "/migrations/status/";
pub(crate) const HISTORY: &str = "/migrations/history/";

#[derive(Serialize)]
struct One<T> {
    served_by: ServedBy,
    #[serde(flatten)]
    found: T,
}

#[derive(Serialize)]
struct Page {
    #[serde(flatten)]
    history: History,
    /// Where the next page begins: to be sent as `after`. None on the last page.
    next: Option<i64>,
}

pub(crate) async fn status(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let path = repository_path(call.request, STATUS)?;
    let min_version = min_version(&Query::of(call.request, &["min_version"])?)?;
    let cached = IfNoneMatch::of(call.request.headers());
    // What a caller has cached it has seen.
    let seen = min_version.max(cached.floor());
    let served = call.deps.statuses.status(&path, seen, call.budget.deadline()).await?;
    let one = not_before(min_version, served, |row| row.version)?;
    let version = one.found.version;
    tracing::info!(%path, version, served_by = as_text(&one.served_by), "status");
    let response =
        if cached.has(version) { not_modified(call.id) } else { json(StatusCode::OK, &one, call.id) };
    Ok(tagged(response, version))
}

pub(crate) async fn history(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let path = repository_path(call.request, HISTORY)?;
    let query = Query::of(call.request, &["min_version", "after", "limit"])?;
    let min_version = min_version(&query)?;
    let limit = query.get("limit", limit)?.unwrap_or(DEFAULT_LIMIT);
    let page = HistoryPage { after: query.get("after", number(0..=i64::MAX))?.unwrap_or(0), limit };
    let served = call.deps.histories.history(&path, page, min_version, call.budget.deadline()).await?;
    let One { served_by, found: history } = not_before(min_version, served, |history| history.version)?;
    let next = history.transitions.last().filter(|_| history.more).map(|transition| transition.id);
    tracing::info!(%path, rows = history.transitions.len(), served_by = as_text(&served_by), "history");
    Ok(json(StatusCode::OK, &One { served_by, found: Page { history, next } }, call.id))
}

fn tagged(mut response: Response<Body>, version: i64) -> Response<Body> {
    // Digits in quotes always are a header's value.
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn min_version(query: &Query) -> Result<Option<i64>, Problem> {
    query.get("min_version", number(0..=i64::MAX))
}

/// What was found, unless there is nothing, or even the writer has not seen what the caller says it has.
fn not_before<T>(
    min_version: Option<i64>,
    served: Served<Option<T>>,
    version: impl Fn(&T) -> i64,
) -> Result<One<T>, Problem> {
    let found = served
        .found
        .ok_or_else(|| Problem::not_found("no such container repository").of_kind("unknown-repository"))?;
    let version = version(&found);
    if min_version.is_some_and(|min_version| version < min_version) {
        let text = format!("the repository is at version {version}, which is before min_version");
        return Err(Problem::bad_request(text).of_kind("version-from-the-future").with("version", version));
    }
    Ok(One { served_by: served.by, found })
}
