//! `PUT …/internal/registry/repositories/<path>/migration/status`: how one attempt ended.

use std::sync::Arc;

use lambda_http::{
    Body, Request, Response,
    http::{Method, StatusCode},
};
use serde::Serialize;
use shared::{
    config::secrets::SharedSecret,
    driver::{AppliedNotification, FollowUp, apply_notification, follow_up},
    endpoint::{Claim, Guard, Notification},
    migration::{RepositoryPath, State},
    registry::RegistryClient,
    runtime::{Budget, after_response},
    store::{Store, Verdict},
    telemetry::as_text,
    web::{Call, NotificationRequest, NotificationRoute, Problem, auth, expect_method, json},
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
    let call = Call::new(&deps, &request, budget);
    call.respond(answer(&call).await)
}

async fn answer(call: &Call<'_, Deps>) -> Result<Response<Body>, Problem> {
    auth::registry(call.request.headers(), &call.deps.secret).await?;
    let path = NotificationRoute::repository_path(call.request)?;
    expect_method(call.request, &Method::PUT)?;
    let sent = NotificationRequest::of(call.request)?;
    let store = &call.deps.notifications;
    let notified =
        apply_notification(store, &path, sent.status, sent.attempt, sent.detail.as_deref(), call.deadline())
            .await?;
    let AppliedNotification { changed, follow_up } = notified.ok_or_else(Problem::unknown_repository)?;
    let (before, verdict) = (changed.before, changed.verdict);
    tracing::info!(
        %path, status = %sent.status, attempt = sent.attempt.map(tracing::field::display), %before, after = %changed.row.migration_state,
        version = changed.row.version, verdict = as_text(&verdict), served_by = "writer", "answered a notification"
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
            defer(call, follow_up);
            let row = changed.row;
            let body = Answer { path, migration_state: row.migration_state, version: row.version, verdict };
            Ok(json(StatusCode::OK, &body, &call.id))
        }
    }
}

/// Hands over what is left to do, for when the answer has gone out.
fn defer(call: &Call<'_, Deps>, due: FollowUp) {
    if due == FollowUp::None {
        return;
    }
    let deps = Arc::clone(call.deps);
    let deadline = call.budget.after_response().deadline();
    after_response::defer(async move {
        if let Err(error) = follow_up(due, &deps.claims, &deps.guard, &deps.registry, deadline).await {
            // The guard and the schedules find the row as it stands and go on from there.
            tracing::error!(%error, "follow-up failed; the guard will do it");
        }
    });
}
