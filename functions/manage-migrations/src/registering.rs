//! `POST /repositories`, `POST /repositories/from-catalog` and `DELETE /repositories/<path>`.

use futures::{StreamExt, TryStreamExt, stream};
use lambda_http::{Body, Response, http::StatusCode};
use serde::{Deserialize, Serialize};
use shared::{
    driver::{CatalogueEnd, register_catalogue},
    migration::RepositoryPath,
    store::{Registration, Removed},
    web::{Problem, optional_json_body, text_body},
};
use uuid::Uuid;

use crate::{
    handler::Call,
    listing::{LineError, Listing},
};

/// The largest list that is read, in bytes.
const MAX_LIST: usize = 4 * 1024 * 1024;
/// The most repositories in one.
const MAX_REPOSITORIES: usize = 50_000;
/// How many are registered in one statement.
const BATCH: usize = 500;
/// How many such statements run at once. No path is in two of them, so none waits for another.
const AT_ONCE: usize = 4;
/// The most lines whose errors are told.
const MAX_ERRORS: usize = 100;

#[derive(Serialize)]
struct Registered {
    /// How many are new.
    registered: u32,
    /// How many were there already, or earlier in the list; they are as they were.
    existing: u32,
    /// How many lines cannot be registered.
    refused: usize,
    /// The first of them.
    errors: Vec<LineError>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FromCatalogue {
    after: Option<String>,
}

/// Registers what the body lists.
pub async fn register(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let text = text_body(call.request, MAX_LIST, is_list, "application/json or application/x-ndjson")?;
    let Listing { registrations, repeated, mut errors } = Listing::read(text)?;
    let refused = errors.len();
    errors.truncate(MAX_ERRORS);
    if registrations.len() > MAX_REPOSITORIES {
        let text =
            format!("the body lists {}, at most {MAX_REPOSITORIES} are registered", registrations.len());
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, text));
    }
    if registrations.is_empty() && refused > 0 {
        let problem = Problem::bad_request("no line of the body can be registered").of_kind("nothing-valid");
        return Err(problem
            .with("refused", refused)
            .with("errors", serde_json::to_value(errors).unwrap_or_default()));
    }
    let store = &call.deps.store;
    let listed = u32::try_from(registrations.len()).unwrap_or(u32::MAX);
    let batches: Vec<Vec<Registration>> = registrations.chunks(BATCH).map(<[_]>::to_vec).collect();
    let registered: u32 = stream::iter(batches)
        .map(|batch| async move { store.register(&batch, Uuid::new_v4(), call.budget.deadline()).await })
        .buffer_unordered(AT_ONCE)
        .try_fold(0, async |sum, registered| Ok(sum + registered))
        .await?;
    let existing = listed.saturating_sub(registered) + repeated;
    tracing::info!(registered, existing, refused, "registered");
    Ok(call.ok(Registered { registered, existing, refused, errors }))
}

/// Registers what the registry's catalogue lists, as far as the time allows.
pub async fn from_catalogue(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let FromCatalogue { after } = optional_json_body(call.request)?;
    if after.as_ref().is_some_and(|after| after.is_empty() || after.len() > 255) {
        return Err(Problem::bad_request("the body's field after is wrong: a repository's name is expected"));
    }
    let (deps, begun) = (call.deps, after.clone());
    let done = register_catalogue(&deps.store, &deps.registry, after, call.budget.deadline()).await?;
    tracing::info!(?done, "registered from the catalogue");
    if done.ended == CatalogueEnd::RegistryUnavailable && done.next == begun {
        let problem = Problem::unavailable("the registry does not list its repositories now", RETRY);
        return Err(problem.of_kind("registry-unavailable"));
    }
    Ok(call.ok(done))
}

/// When a registry that did not answer may be asked again.
const RETRY: std::time::Duration = std::time::Duration::from_secs(5);

/// Removes a repository with its history. One that is renamed is removed and registered under its new name.
pub async fn remove(call: &Call<'_>, path: &RepositoryPath) -> Result<Response<Body>, Problem> {
    let removed = call.deps.store.remove(path, call.budget.deadline()).await?;
    let Removed { removed, row } = removed.ok_or_else(Problem::unknown_repository)?;
    if removed {
        return Ok(call.ok(row));
    }
    let text = format!("a migration that is {} is in progress: cancel it first", row.migration_state);
    Err(Problem::conflict(text).of_kind("wrong-migration-state").about(&row))
}

fn is_list(subtype: &str) -> bool {
    matches!(subtype, "json" | "x-ndjson" | "ndjson" | "jsonl" | "x-jsonlines" | "json-lines")
}
