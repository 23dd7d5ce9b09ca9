//! `GET /openapi.json`: the whole HTTP API, in words for programs. Whoever has the address may read it: it has no data.

use lambda_http::{Body, Response, http::StatusCode};
use serde_json::value::RawValue;
use shared::web::{Problem, Query, json};

use crate::deps::Call;

/// The document (OpenAPI 3.1), of all functions' routes. It is written by hand; tests compare it with the routers, the
/// template and the types, and `tests/contract.sh` with the answers.
pub const OPENAPI: &str = include_str!("../openapi.json");

/// Shows the document.
pub fn describe(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    Query::of(call.request, &[])?;
    let document: &RawValue = serde_json::from_str(OPENAPI).map_err(|error| {
        tracing::error!(%error, "the API's description is not JSON");
        Problem::defect()
    })?;
    Ok(json(StatusCode::OK, &document, &call.id))
}
