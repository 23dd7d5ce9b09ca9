use serde::Serialize;
use tokio::time::Instant;

use crate::{
    endpoint::{EndpointError, ReadOnlyWriter, Status},
    migration::{ContainerRepository, RepositoryPath},
    store::Store,
};

/// Which endpoint an answer came from, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Served {
    /// The reader, as usual.
    Reader,
    /// The writer, because the reader had not replayed what the caller had already seen.
    WriterBehindFloor,
}

/// One repository as its caller may see it.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusAnswer {
    /// Its row. None: no such repository.
    pub row: Option<ContainerRepository>,
    /// Where the row came from.
    pub served: Served,
}

/// Reads one repository from the reader. A caller that names the version it has seen (`floor`) is never shown
/// an older row: where the reader is behind it, or without the row, the writer is asked once.
///
/// # Errors
/// [`EndpointError`] when the endpoint that had to answer did not.
pub async fn status(
    store: &Store<Status>,
    writer: &ReadOnlyWriter,
    path: &RepositoryPath,
    floor: Option<i64>,
    deadline: Instant,
) -> Result<StatusAnswer, EndpointError> {
    let row = store.status(path, deadline).await?;
    let seen = row.as_ref().map_or(0, |row| row.version);
    if floor.is_none_or(|floor| seen >= floor) {
        return Ok(StatusAnswer { row, served: Served::Reader });
    }
    tracing::info!(%path, seen, ?floor, counter = "stale_read_avoided", "the reader is behind its caller");
    let row = Store::latest_status(writer, path, deadline).await?;
    Ok(StatusAnswer { row, served: Served::WriterBehindFloor })
}
