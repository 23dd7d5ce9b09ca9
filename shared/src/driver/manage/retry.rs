use tokio::time::Instant;

use crate::{
    driver::{StartOutcome, new_change, start::began},
    endpoint::{EndpointError, Manage},
    migration::RepositoryPath,
    registry::RegistryClient,
    store::Store,
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
    let started = store.retry(path, new_change(), deadline).await?;
    began(store, registry, started, deadline).await
}
