//! `GET /holds`, `PUT /holds` and `DELETE /holds`.

use lambda_http::{Body, Response, http::StatusCode};
use serde::Serialize;
use shared::{
    endpoint::Manage,
    migration::{Hold, HoldChange, HoldPrefix},
    store::{HoldSet, Store},
    telemetry::as_text,
    web::{Problem, Query, json_body, no_body},
};
use uuid::Uuid;

use crate::deps::{Call, WRITER, acting_store};

#[derive(Serialize)]
struct Holds {
    holds: Vec<Hold>,
}

#[derive(Serialize)]
struct OneHold {
    hold: Hold,
}

/// Every hold, with what it does now.
pub async fn show_holds(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    no_body(call.request)?;
    let holds = call.deps.store.holds(call.deadline()).await?;
    Ok(call.ok(WRITER, Holds { holds }))
}

/// Sets the hold of one prefix, in place of the one that there is.
pub async fn set_hold(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let change: HoldChange = json_body(call.request)?;
    let invalid = |error| Problem::bad_request(format!("the body's field {error}")).of_kind("invalid-hold");
    let change = change.checked().map_err(invalid)?;
    let (store, deadline) = (acting_store(call)?, call.deadline());
    let set = store.set_hold(&change, Uuid::new_v4(), deadline).await?;
    tracing::info!(prefix = %change.prefix, set = as_text(&set), "set a hold");
    match set {
        HoldSet::Set => {}
        HoldSet::UnknownZone => {
            let text =
                "the body's field window: its zone is none that the database knows, such as Europe/Berlin";
            return Err(Problem::bad_request(text).of_kind("invalid-hold"));
        }
        HoldSet::TooMany => {
            let text = format!("there are {} holds already: remove one first", Store::<Manage>::MAX_HOLDS);
            return Err(Problem::conflict(text).of_kind("too-many-holds"));
        }
    }
    let hold = store.hold(&change.prefix, deadline).await?.ok_or_else(no_hold)?;
    Ok(call.ok(WRITER, OneHold { hold }))
}

/// Removes the hold of one prefix, and answers what it was.
pub async fn release_hold(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    no_body(call.request)?;
    let prefix = Query::of(call.request, &["prefix"])?.get("prefix", str::parse::<HoldPrefix>)?;
    let prefix = prefix.ok_or_else(|| {
        Problem::bad_request(
            "query parameter prefix is missing; an empty one is the hold of every repository",
        )
    })?;
    let (store, deadline) = (acting_store(call)?, call.deadline());
    let hold = store.hold(&prefix, deadline).await?.ok_or_else(no_hold)?;
    let released = store.release_hold(&prefix, Uuid::new_v4(), deadline).await?;
    tracing::info!(%prefix, released, "removed a hold");
    if released { Ok(call.ok(WRITER, OneHold { hold })) } else { Err(no_hold()) }
}

fn no_hold() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is no hold of this prefix").of_kind("no-hold")
}
