use tokio::time::Instant;

use crate::{
    driver::{Patience, StartOutcome, begin, new_change},
    endpoint::{EndpointError, Manage},
    migration::RepositoryPath,
    registry::RegistryClient,
    store::{Started, Store},
};

/// Starts an aborted repository at once, as [`start`](crate::driver::start) does.
///
/// # Errors
/// [`EndpointError`] when the writer did not answer. Nothing is half done: either nothing was committed, or
/// the row stands as started and the registry will be asked what became of it.
pub async fn retry(
    store: &Store<Manage>,
    registry: &RegistryClient,
    path: &RepositoryPath,
    deadline: Instant,
) -> Result<StartOutcome, EndpointError> {
    Ok(match store.retry(path, new_change(), deadline).await? {
        Started::Started(row) => {
            let asked = begin(store, registry, *row, Patience::None, deadline).await?;
            StartOutcome::Asked(Box::new(asked))
        }
        Started::WrongState(row) => StartOutcome::WrongState(row),
        Started::Disabled => StartOutcome::Disabled,
        Started::NoSlot => StartOutcome::NoSlot,
        Started::NotFound => StartOutcome::NotFound,
    })
}
