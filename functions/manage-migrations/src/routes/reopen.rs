//! `POST /migrations/reopen/<path>` and `POST /migrations/reopen`.

use lambda_http::{Body, Response};
use serde::{Deserialize, Serialize};
use shared::{
    migration::{PathPrefix, Plan, RepositoryPath, SkipReason, State, foreign::read_name},
    store::{ReopenFilter, Reopened},
    web::{Problem, json_body, optional_json_body},
};

use crate::deps::{Call, WRITER, acting_store};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct One {
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Many {
    state: String,
    reason: Option<String>,
    because: Option<String>,
    #[serde(default)]
    prefix: String,
    #[serde(default = "yes")]
    dry_run: bool,
}

const fn yes() -> bool {
    true
}

#[derive(Serialize)]
struct ManyAnswer {
    dry_run: bool,
    /// How many matched, of those how many were reopened, and how many are left.
    matching: u32,
    reopened: u32,
    left: u32,
    sample: Vec<RepositoryPath>,
}

/// Lets one repository begin anew that was given up or stopped; with a reason also one that is done.
pub async fn reopen(call: &Call<'_>, path: &RepositoryPath) -> Result<Response<Body>, Problem> {
    let One { reason } = optional_json_body(call.request)?;
    let reason = reason.as_deref().map(|reason| checked("reason", reason)).transpose()?;
    let plan = if reason.is_some() { Plan::reopen_with_reason() } else { Plan::reopen() };
    let (store, deadline) = (acting_store(call)?, call.deadline());
    let row = store.find(path, deadline).await?.ok_or_else(Problem::unknown_repository)?;
    let changed = store.operate(path, row.attempt, &plan, reason.as_deref(), deadline).await?;
    let changed = changed.ok_or_else(Problem::unknown_repository)?;
    if changed.verdict.took_effect() {
        return Ok(call.ok(WRITER, changed.row));
    }
    if changed.row.migration_state == State::ImportDone && reason.is_none() {
        let text = r#"a migration that is import_done is reopened only with a reason: {"reason": "…"}"#;
        return Err(Problem::conflict(text).of_kind("wrong-migration-state").about(&changed.row));
    }
    Err(Problem::wrong_state(&changed.row, "reopened"))
}

/// Shows what a filter matches, or reopens at most a thousand of it.
pub async fn reopen_many(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let body: Many = json_body(call.request)?;
    let filter = filter(&body)?;
    let (store, deadline) = (acting_store(call)?, call.deadline());
    let reopened = if body.dry_run {
        store.preview_reopen(&filter, deadline).await?
    } else {
        store.reopen_many(&filter, body.because.as_deref(), deadline).await?
    };
    let Reopened { matching, reopened, sample } = reopened.ok_or_else(Problem::defect)?;
    tracing::info!(
        state = %filter.state, reason = filter.reason.map(tracing::field::display), prefix = %filter.prefix,
        dry_run = body.dry_run, matching, reopened, "reopened many"
    );
    let left = matching.saturating_sub(reopened);
    Ok(call.ok(WRITER, ManyAnswer { dry_run: body.dry_run, matching, reopened, left, sample }))
}

fn filter(body: &Many) -> Result<ReopenFilter, Problem> {
    let state = State::parse(&body.state).map_err(|error| wrong("state", &error))?;
    match state {
        State::ImportSkipped | State::ImportAborted => {}
        State::ImportDone if body.because.is_some() => {}
        State::ImportDone => {
            return Err(wrong("because", &"what is import_done is reopened only with a reason in words"));
        }
        State::Default | State::PreImporting | State::PreImportDone | State::Importing => {
            let states = "only import_skipped, import_aborted and import_done can be reopened";
            return Err(wrong("state", &states));
        }
    }
    body.because.as_deref().map(|because| checked("because", because)).transpose()?;
    let reason = body.reason.as_deref().map(SkipReason::parse).transpose();
    let reason = reason.map_err(|error| wrong("reason", &error))?;
    if reason.is_some() && state == State::ImportAborted {
        return Err(wrong("reason", &"only what is skipped or done has a reason"));
    }
    let prefix: PathPrefix =
        body.prefix.parse().map_err(|_| wrong("prefix", &"not the beginning of a path"))?;
    Ok(ReopenFilter { state, reason, prefix })
}

fn wrong(field: &str, error: &dyn std::fmt::Display) -> Problem {
    Problem::bad_request(format!("the body's field {field} is wrong: {error}"))
}

/// An operator's words, as the history keeps them.
fn checked(field: &str, words: &str) -> Result<String, Problem> {
    read_name(words).map_err(|error| wrong(field, &error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::{
        migration::{PathPrefix, SkipReason, State},
        store::ReopenFilter,
    };

    use super::{Many, filter};

    fn read(body: serde_json::Value) -> Result<(ReopenFilter, bool), String> {
        let many: Many = serde_json::from_value(body).map_err(|error| error.to_string())?;
        let filter = filter(&many).map_err(|problem| problem.message())?;
        Ok((filter, many.dry_run))
    }

    #[test]
    fn without_further_words_it_is_a_dry_run_over_every_path() {
        let (filter, dry_run) = read(json!({"state": "import_aborted"})).unwrap();
        assert!(dry_run);
        let prefix = PathPrefix::default();
        assert_eq!(filter, ReopenFilter { state: State::ImportAborted, reason: None, prefix });
        let (filter, dry_run) = read(json!({
            "state": "import_skipped", "reason": "too_many_tags", "prefix": "Group/", "dry_run": false,
        }))
        .unwrap();
        assert!(!dry_run);
        assert_eq!((filter.reason, filter.prefix.as_str()), (Some(SkipReason::TooManyTags), "group/"));
        let done = json!({"state": "import_done", "reason": "native_import", "because": "a proxy answered"});
        let (filter, dry_run) = read(done).unwrap();
        assert_eq!((filter.state, filter.reason), (State::ImportDone, Some(SkipReason::NativeImport)));
        assert!(dry_run);
    }

    #[test]
    fn a_wrong_filter_is_refused_by_its_field() {
        for (body, says) in [
            (json!({}), "state"),
            (json!({"state": "done"}), "state"),
            (json!({"state": "importing", "because": "why not"}), "state"),
            (json!({"state": "import_done"}), "because"),
            (json!({"state": "import_done", "because": " "}), "because"),
            (json!({"state": "import_done", "because": "x".repeat(256)}), "because"),
            (json!({"state": "import_skipped", "because": "a\0"}), "because"),
            (json!({"state": "import_skipped", "reason": "why"}), "reason"),
            (json!({"state": "import_aborted", "reason": "not_found"}), "reason"),
            (json!({"state": "import_skipped", "prefix": "a\0"}), "prefix"),
            (json!({"state": "import_skipped", "prefix": "grün"}), "prefix"),
            (json!({"state": "import_skipped", "prefix": "a".repeat(256)}), "prefix"),
            (json!({"state": "import_skipped", "dryrun": false}), "dryrun"),
        ] {
            let error = read(body.clone()).unwrap_err();
            assert!(error.contains(says), "{body}: {error}");
        }
    }
}
