//! `GET /migrations/explain/<path>`

use lambda_http::{Body, Response};
use shared::{
    driver,
    migration::RepositoryPath,
    web::{Problem, no_body},
};

use crate::deps::{Call, WRITER};

/// Says how a repository stands here and at the registry, and what happens next.
pub async fn explain(call: &Call<'_>, path: &RepositoryPath) -> Result<Response<Body>, Problem> {
    no_body(call.request)?;
    let explained = driver::explain(&call.deps.store, &call.deps.registry, path, call.deadline()).await?;
    Ok(call.ok(WRITER, explained.ok_or_else(Problem::unknown_repository)?))
}
