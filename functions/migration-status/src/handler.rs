//! `GET /migrations…`: how migrations stand, from the reader.

use std::sync::Arc;

use lambda_http::{Body, Request, RequestExt, Response, http::Method};
use shared::{
    config::secrets::SharedSecret,
    endpoint::{History, List, Status, Summary},
    runtime::Budget,
    store::Store,
    web::{Problem, RequestId, auth, expect_method, no_body, respond},
};

use crate::{list, one, summary};

/// What the handler works with, made once per process.
pub struct Deps {
    /// The token that operators present.
    pub token: SharedSecret,
    /// One repository.
    pub statuses: Store<Status>,
    /// One repository's transitions.
    pub histories: Store<History>,
    /// Many repositories.
    pub lists: Store<List>,
    /// The whole.
    pub summaries: Store<Summary>,
}

/// What every route answers within.
pub(crate) struct Call<'a> {
    /// What it works with.
    pub(crate) deps: &'a Deps,
    /// What was asked.
    pub(crate) request: &'a Request,
    /// How long it may take.
    pub(crate) budget: Budget,
    /// The call's id.
    pub(crate) id: &'a RequestId,
}

/// Answers with what was asked for, or with a problem.
pub async fn handle(deps: Arc<Deps>, request: Request, budget: Budget) -> Response<Body> {
    let id = RequestId::of(&request);
    respond(answer(&Call { deps: &deps, request: &request, budget, id: &id }).await, &id)
}

async fn answer(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    auth::operator(call.request.headers(), &call.deps.token).await?;
    expect_method(call.request, &Method::GET)?;
    no_body(call.request)?;
    match call.request.raw_http_path() {
        "/migrations" | "/migrations/" => list::page(call).await,
        "/migrations/summary" | "/migrations/summary/" => summary::summary(call).await,
        path if path.starts_with(one::HISTORY) => one::history(call).await,
        _ => one::status(call).await,
    }
}
