//! `POST /repositories`

use futures::{StreamExt, TryStreamExt, stream};
use lambda_http::{Body, Response};
use serde::Serialize;
use shared::{
    store::Registration,
    web::{Problem, text_body},
};
use uuid::Uuid;

use crate::{
    deps::{Call, WRITER},
    list::{LineError, Listing},
};

/// The largest list that is read, in bytes.
const MAX_LIST: usize = 4 * 1024 * 1024;
/// How many are registered in one statement.
const BATCH: usize = 500;
/// How many such statements run at once. No path is in two of them, so none waits for another.
const AT_ONCE: usize = 4;

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

/// Registers what the body lists.
pub async fn register(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let text = text_body(call.request, MAX_LIST, is_list, "application/json or application/x-ndjson")?;
    let Listing { registrations, repeated, refused, errors } = Listing::read(text)?;
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
        .map(|batch| async move { store.register(&batch, Uuid::new_v4(), call.deadline()).await })
        .buffer_unordered(AT_ONCE)
        .try_fold(0, async |sum, registered| Ok(sum + registered))
        .await?;
    let existing = listed.saturating_sub(registered) + repeated;
    tracing::info!(registered, existing, refused, "registered");
    Ok(call.ok(WRITER, Registered { registered, existing, refused, errors }))
}

fn is_list(subtype: &str) -> bool {
    matches!(subtype, "json" | "x-ndjson" | "ndjson" | "jsonl" | "x-jsonlines" | "json-lines")
}
