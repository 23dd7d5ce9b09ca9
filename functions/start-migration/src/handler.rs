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
    web::{
        Call, Problem, Query, acting_operator, auth, expect_method, no_body, repository_path, start_answer,
    },
};

/// Where it is called, before the repository's path.
pub const ADDRESS: &str = "/migrations/start/";

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
    let call = Call::new(&deps, &request, budget);
    call.respond(answer(&call).await)
}

async fn answer(call: &Call<'_, Deps>) -> Result<Response<Body>, Problem> {
    auth::operator(call.request.headers(), &call.deps.token).await?;
    expect_method(call.request, &Method::POST)?;
    let path = repository_path(call.request, ADDRESS)?;
    Query::of(call.request, &[])?;
    no_body(call.request)?;
    let store = call.deps.store.by(acting_operator(call.request.headers())?);
    let outcome = start(&store, &call.deps.registry, &path, call.deadline()).await?;
    tracing::info!(%path, outcome = outcome.name(), served_by = "writer", "answered a start request");
    start_answer(outcome, &call.id)
}
