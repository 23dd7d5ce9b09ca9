//! `DELETE /repositories/<path>`

use lambda_http::{Body, Response};
use shared::{
    migration::RepositoryPath,
    store::Removed,
    web::{Problem, no_body},
};

use crate::deps::{Call, WRITER};

/// Removes a repository with its history. One that is renamed is removed and registered under its new name.
pub async fn remove(call: &Call<'_>, path: &RepositoryPath) -> Result<Response<Body>, Problem> {
    no_body(call.request)?;
    let removed = call.deps.store.remove(path, call.deadline()).await?;
    let Removed { removed, row } = removed.ok_or_else(Problem::unknown_repository)?;
    if removed {
        return Ok(call.ok(WRITER, row));
    }
    let text = format!("a migration that is {} is in progress: cancel it first", row.migration_state);
    Err(Problem::conflict(text).of_kind("wrong-migration-state").about(&row))
}
