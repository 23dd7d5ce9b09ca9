//! `/-/`: what a test in another process asks for.
//!
//! | call | does |
//! |---|---|
//! | `GET /-/rules` | the faults in force, `[{"id":1,"rule":{…}}]` |
//! | `POST /-/rules` | adds a [`Rule`], answers `{"id":1}` |
//! | `DELETE /-/rules`, `DELETE /-/rules/1` | removes all, or one: what it held goes on |
//! | `PUT /-/max-concurrent-imports` | body: a number |
//! | `PUT /-/migration-mode` | body: `true` or `false` |
//! | `POST /-/restart` | `{"how":"graceful"|"crash","down_milliseconds":0}`; answers 202, then does it |
//! | `GET /-/journal`, `DELETE /-/journal` | `{"requests":[…],"notifications":[…]}`; forgets what is finished |
//! | `GET /-/statuses` | every status that is stored |
//! | `GET /-/slots` | `{"in_use":0,"maximum":5}` |
//! | `GET /-/verify/<path>` | compares both storages: 200 with what was compared, or 409 |

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{App, Call, answer};
use crate::registry::Restart;
use crate::rules::{Rule, RuleId};
use crate::storage;

const BODY_BYTES: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RestartRequest {
    how: Restart,
    #[serde(default)]
    down_milliseconds: u64,
}

pub(super) async fn answer(app: &App, call: &Call, body: Body) -> Response {
    let desk = &app.engine.desk;
    let path = call.path.clone();
    let rest = path.strip_prefix("/-/").unwrap_or_default();
    let (what, which) = rest.split_once('/').unwrap_or((rest, ""));
    match (call.method.as_str(), what, which) {
        ("GET", "rules", "") => {
            let list: Vec<_> =
                desk.rules.list().into_iter().map(|(id, rule)| json!({"id": id, "rule": rule})).collect();
            answer::json(StatusCode::OK, &list)
        }
        ("POST", "rules", "") => match parse::<Rule>(body).await {
            Ok(rule) => answer::json(StatusCode::CREATED, &json!({"id": desk.rules.add(rule)})),
            Err(refusal) => refusal,
        },
        ("DELETE", "rules", "") => {
            desk.rules.clear();
            answer::empty(StatusCode::NO_CONTENT)
        }
        ("DELETE", "rules", id) => match id.parse() {
            Ok(id) if desk.rules.remove(RuleId(id)) => answer::empty(StatusCode::NO_CONTENT),
            Ok(_) | Err(_) => answer::not_found(),
        },
        ("PUT", "max-concurrent-imports", "") => match parse::<usize>(body).await {
            Ok(maximum) => {
                desk.max_concurrent_imports.store(maximum, Ordering::SeqCst);
                answer::empty(StatusCode::NO_CONTENT)
            }
            Err(refusal) => refusal,
        },
        ("PUT", "migration-mode", "") => match parse::<bool>(body).await {
            Ok(on) => {
                desk.migration_mode.store(on, Ordering::SeqCst);
                answer::empty(StatusCode::NO_CONTENT)
            }
            Err(refusal) => refusal,
        },
        ("POST", "restart", "") => match parse::<RestartRequest>(body).await {
            Ok(request) => restart(app, &request),
            Err(refusal) => refusal,
        },
        ("GET", "journal", "") => {
            let (requests, notifications) = (desk.journal.requests(), desk.journal.notifications());
            answer::json(StatusCode::OK, &json!({"requests": requests, "notifications": notifications}))
        }
        ("DELETE", "journal", "") => {
            desk.journal.clear();
            answer::empty(StatusCode::NO_CONTENT)
        }
        ("GET", "statuses", "") => answer::json(StatusCode::OK, &app.engine.entries()),
        ("GET", "slots", "") => {
            let maximum = desk.max_concurrent_imports.load(Ordering::SeqCst);
            answer::json(StatusCode::OK, &json!({"in_use": app.engine.slots_in_use(), "maximum": maximum}))
        }
        ("GET", "verify", path) => verify(app, path).await,
        _ => answer::not_found(),
    }
}

/// The answer leaves on a connection that the restart ends, so the restart is a task of its own.
fn restart(app: &App, request: &RestartRequest) -> Response {
    let registry = app.registry.clone();
    let (how, down) = (request.how, Duration::from_millis(request.down_milliseconds));
    tokio::spawn(async move {
        if let Err(error) = registry.restart(how, down).await {
            tracing::error!(%error, "the registry did not come back");
        }
    });
    answer::empty(StatusCode::ACCEPTED)
}

async fn verify(app: &App, path: &str) -> Response {
    let (old, new, path) = (app.engine.old.clone(), app.engine.new.clone(), path.to_owned());
    match tokio::task::spawn_blocking(move || storage::verify(&old, &new, &path)).await {
        Ok(Ok(verified)) => answer::json(StatusCode::OK, &verified),
        Ok(Err(error)) => answer::json(StatusCode::CONFLICT, &json!({"message": error.to_string()})),
        Err(_) => answer::empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

async fn parse<T: DeserializeOwned>(body: Body) -> Result<T, Response> {
    let refuse = |message: String| answer::json(StatusCode::BAD_REQUEST, &json!({"message": message}));
    let bytes = axum::body::to_bytes(body, BODY_BYTES).await.map_err(|error| refuse(error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| refuse(error.to_string()))
}
