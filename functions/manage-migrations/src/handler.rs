//! What operators change: repositories, migrations, settings.

use std::sync::Arc;

use lambda_http::{Body, Request, Response, http::StatusCode};
use serde::Serialize;
use shared::{
    config::secrets::SharedSecret,
    driver::{Patience, explain, fill_slot, retry},
    endpoint::{Claim, Manage},
    migration::RepositoryPath,
    registry::RegistryClient,
    runtime::{Budget, after_response},
    store::Store,
    telemetry::as_text,
    web::{Problem, Query, RequestId, auth, json, no_body, respond, start_answer},
};

use crate::{accepting, giving_up, registering, reopening, route::Route, settings};

/// What the handler works with, made once per process.
pub struct Deps {
    /// The token that operators present.
    pub token: SharedSecret,
    /// The writer.
    pub store: Store<Manage>,
    /// The writer, for slots that are freed here.
    pub claims: Store<Claim>,
    /// The registry.
    pub registry: RegistryClient,
}

/// What every route answers within.
pub struct Call<'a> {
    /// What it works with.
    pub deps: &'a Arc<Deps>,
    /// What was asked.
    pub request: &'a Request,
    /// How long it may take.
    pub budget: Budget,
    /// The call's id.
    pub id: &'a RequestId,
}

/// An answer that tells who served it.
#[derive(Serialize)]
pub struct ByWriter<T> {
    served_by: &'static str,
    #[serde(flatten)]
    answer: T,
}

impl Call<'_> {
    /// A 200 with what the writer had to say.
    pub fn ok<T: Serialize>(&self, answer: T) -> Response<Body> {
        json(StatusCode::OK, &ByWriter { served_by: "writer", answer }, self.id)
    }

    /// Gives a slot that was freed to the next repository, once the caller has its answer.
    pub fn fill_freed_slot(&self) {
        let deps = Arc::clone(self.deps);
        let deadline = self.budget.after_response().deadline();
        after_response::defer(async move {
            match fill_slot(&deps.claims, &deps.registry, Patience::AfterNotification, deadline).await {
                Ok(filled) => tracing::info!(filled = as_text(&filled), "a slot was freed"),
                // The schedule fills it.
                Err(error) => tracing::error!(%error, "a freed slot was not filled"),
            }
        });
    }
}

/// Answers a request by its route, or with a problem.
pub async fn handle(deps: Arc<Deps>, request: Request, budget: Budget) -> Response<Body> {
    let id = RequestId::of(&request);
    let call = Call { deps: &deps, request: &request, budget, id: &id };
    respond(answer(&call).await, &id)
}

async fn answer(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    auth::operator(call.request.headers(), &call.deps.token).await?;
    let route = Route::of(call.request)?;
    Query::of(call.request, &[])?;
    let path = route.path().map(tracing::field::display);
    tracing::info!(operation = route.name(), path, served_by = "writer", "manage");
    match route {
        Route::Register => registering::register(call).await,
        Route::RegisterFromCatalogue => registering::from_catalogue(call).await,
        Route::Remove(path) => registering::remove(call, &path).await,
        Route::Retry(path) => {
            no_body(call.request)?;
            let deadline = call.budget.deadline();
            start_answer(retry(&call.deps.store, &call.deps.registry, &path, deadline).await?, call.id)
        }
        Route::Cancel(path) => giving_up::cancel(call, &path).await,
        Route::Skip(path) => giving_up::skip(call, &path).await,
        Route::Accept(path) => accepting::accept(call, &path).await,
        Route::Reopen(path) => reopening::one(call, &path).await,
        Route::ReopenMany => reopening::many(call).await,
        Route::Explain(path) => explained(call, &path).await,
        Route::Settings => settings::show(call).await,
        Route::ChangeSettings => settings::change(call).await,
    }
}

async fn explained(call: &Call<'_>, path: &RepositoryPath) -> Result<Response<Body>, Problem> {
    no_body(call.request)?;
    let explained = explain(&call.deps.store, &call.deps.registry, path, call.budget.deadline()).await?;
    Ok(call.ok(explained.ok_or_else(Problem::unknown_repository)?))
}
