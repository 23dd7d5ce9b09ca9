//! `POST /migrations/start/<path>`: begins one repository's migration.

use std::sync::Arc;

use lambda_http::{Body, Request, Response, http::Method};
use shared::{
    config::secrets::SharedSecret,
    driver::start,
    endpoint::Start,
    registry::RegistryClient,
    runtime::Budget,
    store::Store,
    web::{Problem, Query, RequestId, auth, expect_method, no_body, repository_path, respond, start_answer},
};

/// What the handler works with, made once per process.
pub struct Deps {
    /// The token that operators present.
    pub token: SharedSecret,
    /// The writer.
    pub store: Store<Start>,
    /// The registry.
    pub registry: RegistryClient,
}

/// Answers 202 once the registry runs the step (or may do so), 200 when there was nothing to import, else a
/// problem.
pub async fn handle(deps: Arc<Deps>, request: Request, budget: Budget) -> Response<Body> {
    let id = RequestId::of(&request);
    respond(answer(&deps, &request, budget, &id).await, &id)
}

async fn answer(
    deps: &Deps,
    request: &Request,
    budget: Budget,
    id: &RequestId,
) -> Result<Response<Body>, Problem> {
    auth::operator(request.headers(), &deps.token).await?;
    expect_method(request, &Method::POST)?;
    let path = repository_path(request, "/migrations/start/")?;
    Query::of(request, &[])?;
    no_body(request)?;
    let outcome = start(&deps.store, &deps.registry, &path, budget.deadline()).await?;
    tracing::info!(%path, outcome = outcome.name(), served_by = "writer", "start");
    start_answer(outcome, id)
}
