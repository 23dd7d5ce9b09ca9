//! `POST /migrations/retry/<path>`

use lambda_http::{Body, Response};
use shared::{
    driver,
    migration::RepositoryPath,
    web::{Problem, no_body, start_answer},
};

use crate::deps::{Call, acting_store};

/// Starts an aborted repository at once.
pub async fn retry(call: &Call<'_>, path: &RepositoryPath) -> Result<Response<Body>, Problem> {
    no_body(call.request)?;
    let outcome = driver::retry(&acting_store(call)?, &call.deps.registry, path, call.deadline()).await?;
    start_answer(outcome, &call.id)
}
