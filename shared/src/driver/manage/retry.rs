use tokio::time::Instant;

use crate::{
    driver::{StartOutcome, fill::again_where, new_change, start::began},
    endpoint::{EndpointError, Manage},
    migration::RepositoryPath,
    registry::RegistryClient,
    store::{Started, Store},
};

/// Starts an aborted repository at once, as [`start`](fn@crate::driver::start) does.
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
    let retry = || store.retry(path, new_change(), deadline);
    let started = again_where(|started| *started == Started::PassedOver, retry, deadline).await?;
    began(store, registry, started, deadline).await
}
