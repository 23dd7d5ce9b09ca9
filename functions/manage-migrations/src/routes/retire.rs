//! `POST /migrations/cancel/<path>` and `POST /migrations/skip/<path>`.

use lambda_http::{Body, Response, http::StatusCode};
use serde::Deserialize;
use shared::{
    driver::{self, GaveUp, GiveUp},
    migration::{RepositoryPath, SkipReason},
    web::{Problem, json_body, optional_json_body},
};

use crate::deps::{Call, WRITER, acting_store, fill_freed_slot};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Cancel {
    force: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Skip {
    reason: String,
}

/// Stops a migration that is under way.
pub async fn cancel(call: &Call<'_>, path: &RepositoryPath) -> Result<Response<Body>, Problem> {
    let Cancel { force } = optional_json_body(call.request)?;
    give_up(call, path, GiveUp::Cancel { force }, "canceled").await
}

/// Takes a repository out, for a reason.
pub async fn skip(call: &Call<'_>, path: &RepositoryPath) -> Result<Response<Body>, Problem> {
    let Skip { reason } = json_body(call.request)?;
    let wrong = |error| Problem::bad_request(format!("the body's field reason is wrong: {error}"));
    give_up(call, path, GiveUp::Skip(SkipReason::parse(&reason).map_err(wrong)?), "skipped").await
}

async fn give_up(
    call: &Call<'_>,
    path: &RepositoryPath,
    how: GiveUp,
    participle: &str,
) -> Result<Response<Body>, Problem> {
    let gave_up =
        driver::give_up(&acting_store(call)?, &call.deps.registry, path, how, call.deadline()).await?;
    tracing::info!(%path, how = how.name(), reason = %how.reason(), gave_up = gave_up.name(), "gave up");
    match gave_up {
        GaveUp::Skipped { row, freed_slot } => {
            if freed_slot {
                fill_freed_slot(call);
            }
            Ok(call.ok(WRITER, row))
        }
        GaveUp::WrongState(row) => Err(Problem::wrong_state(&row, participle)),
        GaveUp::NothingToCancel { row, previous } => {
            let says = previous.map_or("that it knows of no import", |status| status.name());
            let text = format!(
                "nothing runs that could be canceled; the registry says {says}. With {{\"force\":true}} it is given up \
                 all the same"
            );
            let problem = Problem::conflict(text).of_kind("nothing-to-cancel").about(&row);
            Err(problem.with("registry_status", previous.map(|status| status.name())))
        }
        GaveUp::MovedOn(row) => {
            let problem =
                Problem::conflict("the repository has changed since: look at its status, then retry");
            Err(problem.of_kind("moved-on").about(&row))
        }
        GaveUp::NoAnswer(row) => {
            let text = "the registry does not answer; nothing was changed";
            Err(Problem::registry_unavailable(text, None).about(&row))
        }
        GaveUp::Refused { row, status } => {
            let problem = Problem::new(StatusCode::BAD_GATEWAY, format!("the registry answered {status}"));
            Err(problem.of_kind("registry-refused").about(&row))
        }
        GaveUp::NotFound => Err(Problem::unknown_repository()),
    }
}
