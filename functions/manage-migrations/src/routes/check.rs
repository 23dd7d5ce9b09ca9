//! `GET /doctor/registry`

use lambda_http::{Body, Response};
use shared::{
    driver,
    web::{Problem, no_body},
};

use crate::deps::{Call, WRITER};

/// Tries each permission of the registry's tokens once.
pub async fn check_registry(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    no_body(call.request)?;
    Ok(call.ok(WRITER, driver::check_registry(&call.deps.registry, call.deadline()).await))
}
