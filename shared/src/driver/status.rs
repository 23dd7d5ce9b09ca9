use tokio::time::Instant;

use super::{Reading, Served};
use crate::{
    endpoint::{self, EndpointError, Purpose, Reader, Status},
    migration::{ContainerRepository, RepositoryPath},
    store::{History, HistoryPage, Store},
};

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
    reading: &Reading,
    path: &RepositoryPath,
    floor: Option<i64>,
    deadline: Instant,
) -> Result<Answer<ContainerRepository>, EndpointError> {
    let latest = |deadline| Store::latest_status(reading.writer(), path, deadline);
    let read = |deadline| store.status(path, deadline);
    at_least::<Status, _, _, _>(reading, floor, path, read, |row| row.version, latest, deadline).await
}

/// Reads a page of one repository's history, under the same promise as [`status`].
///
/// # Errors
/// [`EndpointError`] when the endpoint that had to answer did not.
pub async fn history(
    store: &Store<endpoint::History>,
    reading: &Reading,
    path: &RepositoryPath,
    page: HistoryPage,
    floor: Option<i64>,
    deadline: Instant,
) -> Result<Answer<History>, EndpointError> {
    let latest = |deadline| Store::latest_history(reading.writer(), path, page, deadline);
    let read = |deadline| store.history(path, page, deadline);
    at_least::<endpoint::History, _, _, _>(
        reading,
        floor,
        path,
        read,
        |history| history.version,
        latest,
        deadline,
    )
    .await
}

/// What the reader has, or, where that is before `floor`, what the writer says when it is asked by `latest`.
async fn at_least<P, T, R, L>(
    reading: &Reading,
    floor: Option<i64>,
    path: &RepositoryPath,
    read: impl FnOnce(Instant) -> R,
    version: impl Fn(&T) -> i64,
    latest: impl Fn(Instant) -> L,
    deadline: Instant,
) -> Result<Answer<T>, EndpointError>
where
    P: Purpose<Endpoint = Reader>,
    R: Future<Output = Result<Option<T>, EndpointError>>,
    L: Future<Output = Result<Option<T>, EndpointError>>,
{
    let (found, served) = reading.serve::<P, _, _, _>(read, &latest, deadline).await?;
    let seen = found.as_ref().map_or(0, version);
    if served != Served::Reader || floor.is_none_or(|floor| seen >= floor) {
        return Ok(Answer { found, served });
    }
    tracing::info!(%path, seen, floor, counter = "stale_read_avoided", "the reader is behind its caller");
    let found = reading.latest(latest, deadline).await?;
    Ok(Answer { found, served: Served::WriterBehindFloor })
}
