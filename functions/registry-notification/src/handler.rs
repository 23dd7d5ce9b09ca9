//! `PUT …/internal/registry/repositories/<path>/migration/status`: how one attempt ended.

use std::sync::Arc;

use lambda_http::{
    Body, Request, Response,
    http::{Method, StatusCode},
};
use serde::Serialize;
use shared::{
    config::secrets::SharedSecret,
    driver::{FollowUp, Notified, follow_up, notified},
    endpoint::{Claim, Guard, Notification},
    migration::{RepositoryPath, State},
    registry::RegistryClient,
    runtime::{Budget, after_response},
    store::{Store, Verdict},
    telemetry::as_text,
    web::{NotificationRequest, NotificationRoute, Problem, RequestId, auth, expect_method, json, respond},
};

/// What the handler works with, made once per process.
pub struct Deps {
    /// The secret that the registry presents.
    pub secret: SharedSecret,
    /// The writer, for the notification itself.
    pub notifications: Store<Notification>,
    /// The writer, for what follows it.
    pub claims: Store<Claim>,
    /// The writer, for what a notification has cast doubt on.
    pub guard: Store<Guard>,
    /// The registry.
    pub registry: RegistryClient,
}

#[derive(Serialize)]
struct Answer {
    path: RepositoryPath,
    migration_state: State,
    version: i64,
    verdict: Verdict,
}

/// Answers a notification with exactly 200 or a problem: the registry takes every other success for a failure,
/// and never sends a notification again.
pub async fn handle(deps: Arc<Deps>, request: Request, budget: Budget) -> Response<Body> {
    let id = RequestId::of(&request);
    respond(answer(&deps, &request, budget, &id).await, &id)
}

async fn answer(
    deps: &Arc<Deps>,
    request: &Request,
    budget: Budget,
    id: &RequestId,
) -> Result<Response<Body>, Problem> {
    auth::registry(request.headers(), &deps.secret).await?;
    let path = NotificationRoute::repository_path(request)?;
    expect_method(request, &Method::PUT)?;
    let told = NotificationRequest::of(request)?;
    let deadline = budget.deadline();
    let notified =
        notified(&deps.notifications, &path, told.status, told.attempt, told.detail.as_deref(), deadline)
            .await?
            .ok_or_else(|| {
                Problem::not_found("no such container repository").of_kind("unknown-repository")
            })?;
    let Notified { changed, follow_up } = notified;
    let (before, verdict) = (changed.before, changed.verdict);
    tracing::info!(
        %path, status = %told.status, attempt = told.attempt.map(tracing::field::display), %before, after = %changed.row.migration_state,
        version = changed.row.version, verdict = as_text(&verdict), served_by = "writer", "notification"
    );
    match verdict {
        Verdict::Refused | Verdict::Superseded => {
            let text = format!("Wrong migration state ({before})");
            Err(Problem::bad_request(text)
                .of_kind("wrong-migration-state")
                .with("version", changed.row.version))
        }
        Verdict::Applied
        | Verdict::Repeat
        | Verdict::EarlierAttempt
        | Verdict::AlreadyOver
        | Verdict::Nothing
        | Verdict::Unverified => {
            defer(deps, follow_up, budget);
            let row = changed.row;
            let body = Answer { path, migration_state: row.migration_state, version: row.version, verdict };
            Ok(json(StatusCode::OK, &body, id))
        }
    }
}

/// Hands over what is left to do, for when the answer has gone out.
fn defer(deps: &Arc<Deps>, due: FollowUp, budget: Budget) {
    if due == FollowUp::None {
        return;
    }
    let deps = Arc::clone(deps);
    let deadline = budget.after_response().deadline();
    after_response::defer(async move {
        if let Err(error) = follow_up(due, &deps.claims, &deps.guard, &deps.registry, deadline).await {
            // The guard and the schedules find the row as it stands and go on from there.
            tracing::error!(%error, "what was left to do after a notification was not done");
        }
    });
}
