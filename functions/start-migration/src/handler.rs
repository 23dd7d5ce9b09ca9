//! `POST /migrations/start/<path>`: begins one repository's migration.

use std::{sync::Arc, time::Duration};

use lambda_http::{Body, Request, Response, http::StatusCode};
use serde::Serialize;
use shared::{
    config::secrets::SharedSecret,
    driver::{Asked, Standing, StartOutcome, start},
    endpoint::Start,
    migration::ContainerRepository,
    registry::RegistryClient,
    runtime::Budget,
    store::Store,
    web::{Problem, RequestId, auth, json, repository_path, respond},
};

/// A step takes seconds at least, so a slot is not free much sooner.
const UNTIL_A_SLOT_IS_FREE: Duration = Duration::from_secs(5);

/// What the handler works with, made once per process.
pub struct Deps {
    /// The token that operators present.
    pub token: SharedSecret,
    /// The writer.
    pub store: Store<Start>,
    /// The registry.
    pub registry: RegistryClient,
}

#[derive(Serialize)]
struct Answer {
    standing: Standing,
    #[serde(flatten)]
    row: ContainerRepository,
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
    let path = repository_path(request, "/migrations/start/")?;
    let outcome = start(&deps.store, &deps.registry, &path, budget.deadline()).await?;
    tracing::info!(%path, ?outcome, served_by = "writer", "start");
    match outcome {
        StartOutcome::Asked(asked) => asked_answer(*asked, id),
        StartOutcome::WrongState(row) => {
            let text = format!("a migration that is {} cannot be started", row.migration_state);
            Err(about(&row, Problem::conflict(text).of_kind("wrong-migration-state")))
        }
        StartOutcome::Disabled => {
            Err(Problem::conflict("migrations are switched off").of_kind("migrations-disabled"))
        }
        StartOutcome::NoSlot => {
            let problem = Problem::too_many_requests("every slot is taken", UNTIL_A_SLOT_IS_FREE);
            Err(problem.of_kind("no-free-slot"))
        }
        StartOutcome::NotFound => {
            Err(Problem::not_found("no such container repository").of_kind("unknown-repository"))
        }
    }
}

fn asked_answer(asked: Asked, id: &RequestId) -> Result<Response<Body>, Problem> {
    let Asked { standing, row } = asked;
    match standing {
        Standing::Running | Standing::Unknown | Standing::MovedOn => {
            Ok(json(StatusCode::ACCEPTED, &Answer { standing, row }, id))
        }
        Standing::Settled => Ok(json(StatusCode::OK, &Answer { standing, row }, id)),
        Standing::Postponed => {
            let wait = row.not_before.map_or(UNTIL_A_SLOT_IS_FREE, |until| {
                let left = until.duration_since(jiff::Timestamp::now());
                Duration::try_from(left).unwrap_or(Duration::ZERO).max(Duration::from_secs(1))
            });
            let problem = Problem::too_many_requests("the registry cannot start it now", wait);
            Err(about(&row, problem.of_kind("registry-busy")))
        }
        Standing::Aborted | Standing::Unwelcome => {
            let text = row.detail.clone().unwrap_or_else(|| "the registry refused".to_owned());
            let problem = Problem::new(StatusCode::BAD_GATEWAY, text);
            Err(about(&row, problem.of_kind("registry-refused")))
        }
    }
}

/// Every answer about a repository carries its state and version.
fn about(row: &ContainerRepository, problem: Problem) -> Problem {
    problem.with("migration_state", row.migration_state.name()).with("version", row.version)
}
