//! `GET /migrations/status/<path>`: one repository.

use lambda_http::{
    Body, Response,
    http::{HeaderValue, header},
};
use shared::{
    migration::RepositoryPath,
    telemetry::as_text,
    web::{IfNoneMatch, Problem, Query, not_modified},
};

use crate::{
    deps::Call,
    version::{min_version, not_before},
};

/// Shows how a repository stands, and nothing older than what the caller has seen.
pub async fn status(call: &Call<'_>, path: &RepositoryPath) -> Result<Response<Body>, Problem> {
    let min_version = min_version(&Query::of(call.request, &["min_version"])?)?;
    let cached = IfNoneMatch::of(call.request.headers());
    // What a caller has cached it has seen.
    let seen = min_version.max(cached.floor());
    let served = call.deps.statuses.status(path, seen, call.deadline()).await?;
    let (served_by, row) = not_before(min_version, served, |row| row.version)?;
    let version = row.version;
    tracing::info!(%path, version, served_by = as_text(&served_by), "answered a status request");
    let response = if cached.has(version) { not_modified(&call.id) } else { call.ok(served_by, row) };
    Ok(tagged(response, version))
}

fn tagged(mut response: Response<Body>, version: i64) -> Response<Body> {
    // Digits in quotes always are a header's value.
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
