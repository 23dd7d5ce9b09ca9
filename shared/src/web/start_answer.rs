use std::time::Duration;

use http::StatusCode;
use lambda_http::{Body, Response};
use serde::Serialize;

use super::{Problem, RequestId, json};
use crate::{
    driver::{Asked, StartOutcome, StepStatus},
    migration::{Brake, ContainerRepository},
};

/// A step takes seconds at least, so a slot is not free much sooner.
const UNTIL_A_SLOT_IS_FREE: Duration = Duration::from_secs(5);

#[derive(Serialize)]
struct Answer {
    standing: StepStatus,
    #[serde(flatten)]
    row: ContainerRepository,
}

/// The answer to an operator's start or retry: 202 once the registry runs the step (or may do so), 200 when
/// there was nothing to import.
///
/// # Errors
/// 404 for an unknown repository, 409 in another state or while migrations are switched off, 429 without a free
/// slot, while the registry is busy or while starts are held back, 502 when the registry refuses.
pub fn start_answer(outcome: StartOutcome, id: &RequestId) -> Result<Response<Body>, Problem> {
    match outcome {
        StartOutcome::Asked(asked) => asked_answer(*asked, id),
        StartOutcome::WrongState(row) => Err(Problem::wrong_state(&row, "started")),
        StartOutcome::Disabled => Err(Problem::conflict(
            "migrations are switched off: PATCH /settings {\"enabled\":true} switches them on",
        )
        .of_kind("migrations-disabled")),
        StartOutcome::NoSlot => {
            let problem = Problem::too_many_requests(
                "every slot is taken: retry when a repository has ended, or raise the capacity",
                UNTIL_A_SLOT_IS_FREE,
            );
            Err(problem.of_kind("no-free-slot"))
        }
        StartOutcome::Held(held) => {
            let text = match held.by {
                Brake::RegistryStopped => "the registry is stopping, and would cut off what it starts now",
                Brake::BreakerOpen => {
                    "the circuit breaker is open, since too many repositories failed in a row"
                }
                Brake::RegistryFull => "the registry has no room for another import",
            };
            let problem = Problem::too_many_requests(text, left_until(held.until));
            Err(problem.of_kind("starts-held-back").with("held_by", held.by.name()))
        }
        StartOutcome::NotFound => Err(Problem::unknown_repository()),
    }
}

fn asked_answer(asked: Asked, id: &RequestId) -> Result<Response<Body>, Problem> {
    let Asked { standing, row } = asked;
    match standing {
        StepStatus::Running | StepStatus::Unknown | StepStatus::MovedOn => {
            Ok(json(StatusCode::ACCEPTED, &Answer { standing, row }, id))
        }
        StepStatus::Settled => Ok(json(StatusCode::OK, &Answer { standing, row }, id)),
        StepStatus::Postponed | StepStatus::NotReady => {
            let wait = row.not_before.map_or(UNTIL_A_SLOT_IS_FREE, left_until);
            let problem =
                Problem::too_many_requests("the registry has no room for this import now: retry later", wait);
            Err(problem.of_kind("registry-busy").about(&row))
        }
        StepStatus::NotTheRegistry => {
            let text = "what answered is not the registry; nothing was counted, and it is asked again";
            Err(Problem::new(StatusCode::BAD_GATEWAY, text).of_kind("not-the-registry").about(&row))
        }
        StepStatus::Aborted | StepStatus::Unwelcome => {
            let text = row.detail.clone().unwrap_or_else(|| "the registry refused".to_owned());
            Err(Problem::new(StatusCode::BAD_GATEWAY, text).of_kind("registry-refused").about(&row))
        }
    }
}

/// A second at least.
fn left_until(until: jiff::Timestamp) -> Duration {
    let left = until.duration_since(jiff::Timestamp::now());
    Duration::try_from(left).unwrap_or(Duration::ZERO).max(Duration::from_secs(1))
}
