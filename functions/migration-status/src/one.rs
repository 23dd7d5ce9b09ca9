//! `GET /migrations/status/<path>` and `GET /migrations/history/<path>`: one repository.

use std::fmt::Debug;

use lambda_http::{
    Body, Response,
    http::{HeaderValue, StatusCode, header},
};
use serde::Serialize;
use shared::{
    driver::{self, Answer, Served},
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
    served_by: Served,
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
    let floor = floor(&Query::of(call.request, &["min_version"])?)?;
    // What a caller has cached it has seen.
    let cached = IfNoneMatch::of(call.request.headers());
    let deps = call.deps;
    let least = floor.max(cached.floor());
    let answer = driver::status(&deps.statuses, &deps.reading, &path, least, call.budget.deadline()).await?;
    let one = not_before(floor, answer, |row| row.version)?;
    let version = one.found.version;
    tracing::info!(%path, version, served_by = as_text(&one.served_by), "status");
    let response =
        if cached.has(version) { not_modified(call.id) } else { json(StatusCode::OK, &one, call.id) };
    Ok(tagged(response, version))
}

pub(crate) async fn history(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let path = repository_path(call.request, HISTORY)?;
    let query = Query::of(call.request, &["min_version", "after", "limit"])?;
    let floor = floor(&query)?;
    let limit = query.get("limit", limit)?.unwrap_or(DEFAULT_LIMIT);
    let page = HistoryPage { after: query.get("after", number(0..=i64::MAX))?.unwrap_or(0), limit };
    let deps = call.deps;
    let deadline = call.budget.deadline();
    let answer = driver::history(&deps.histories, &deps.reading, &path, page, floor, deadline).await?;
    let One { served_by, found: history } = not_before(floor, answer, |history| history.version)?;
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

fn floor(query: &Query) -> Result<Option<i64>, Problem> {
    query.get("min_version", number(0..=i64::MAX))
}

/// What was found, unless there is nothing, or even the writer has not seen what the caller says it has.
fn not_before<T: Debug>(
    floor: Option<i64>,
    answer: Answer<T>,
    version: impl Fn(&T) -> i64,
) -> Result<One<T>, Problem> {
    let Answer { found, served } = answer;
    let found = found
        .ok_or_else(|| Problem::not_found("no such container repository").of_kind("unknown-repository"))?;
    let version = version(&found);
    if floor.is_some_and(|floor| version < floor) {
        let text = format!("the repository is at version {version}, which is before min_version");
        return Err(Problem::bad_request(text).of_kind("version-from-the-future").with("version", version));
    }
    Ok(One { served_by: served, found })
}
