use serde::Serialize;
use tokio::time::Instant;

use crate::{
    endpoint::{self, EndpointError, ReadOnlyWriter, Status},
    migration::{ContainerRepository, RepositoryPath},
    store::{History, HistoryPage, Store},
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

/// Something of one repository as its caller may see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<T> {
    /// What there is. None: no such repository.
    pub found: Option<T>,
    /// Where it came from.
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
) -> Result<Answer<ContainerRepository>, EndpointError> {
    let row = store.status(path, deadline).await?;
    let latest = Store::latest_status(writer, path, deadline);
    at_least(floor, path, row, |row| row.version, latest).await
}

/// Reads a page of one repository's history, under the same promise as [`status`].
///
/// # Errors
/// [`EndpointError`] when the endpoint that had to answer did not.
pub async fn history(
    store: &Store<endpoint::History>,
    writer: &ReadOnlyWriter,
    path: &RepositoryPath,
    page: HistoryPage,
    floor: Option<i64>,
    deadline: Instant,
) -> Result<Answer<History>, EndpointError> {
    let history = store.history(path, page, deadline).await?;
    let latest = Store::latest_history(writer, path, page, deadline);
    at_least(floor, path, history, |history| history.version, latest).await
}

/// What the reader has, or, where that is before `floor`, what the writer says when it is asked by `latest`.
async fn at_least<T>(
    floor: Option<i64>,
    path: &RepositoryPath,
    found: Option<T>,
    version: impl Fn(&T) -> i64,
    latest: impl Future<Output = Result<Option<T>, EndpointError>>,
) -> Result<Answer<T>, EndpointError> {
    let seen = found.as_ref().map_or(0, version);
    if floor.is_none_or(|floor| seen >= floor) {
        return Ok(Answer { found, served: Served::Reader });
    }
    tracing::info!(%path, seen, ?floor, counter = "stale_read_avoided", "the reader is behind its caller");
    Ok(Answer { found: latest.await?, served: Served::WriterBehindFloor })
}
