//! `GET /migrations/proof/<path>`: what the importer has done for one repository.

use lambda_http::{Body, Response};
use serde::Serialize;
use shared::{
    migration::RepositoryPath,
    store::importer::ShownProof,
    telemetry::as_text,
    web::{Problem, Query},
};

use crate::deps::Call;

#[derive(Serialize)]
struct Answer {
    /// None: the importer was never asked for it.
    import: Option<ShownProof>,
}

/// Shows how the importer's copy of a repository stands, and its tags.
pub async fn proof(call: &Call<'_>, path: &RepositoryPath) -> Result<Response<Body>, Problem> {
    Query::of(call.request, &[])?;
    let served = call.deps.histories.shown_proof(path, call.deadline()).await?;
    tracing::info!(%path, served_by = as_text(&served.by), "answered a proof request");
    Ok(call.ok(served.by, Answer { import: served.found }))
}
