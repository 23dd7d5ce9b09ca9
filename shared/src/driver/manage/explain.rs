use serde::Serialize;
use tokio::time::Instant;

use crate::{
    endpoint::{EndpointError, Manage},
    migration::{
        ContainerRepository, Explanation, RegistryStatus, RegistryView, RepositoryPath, explanation,
    },
    registry::{RegistryClient, StatusAnswer},
    store::Store,
};

/// How a repository stands, on both sides, and what happens next.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    /// What happens next, and when.
    pub expected: Explanation,
    /// What the registry says.
    pub registry: RegistryState,
    /// What the driver has, on the writer.
    pub repository: ContainerRepository,
}

/// What the registry says of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegistryState {
    /// Whether it answered.
    pub answered: bool,
    /// How it stands; none: it knows of no import, or did not answer.
    pub status: Option<RegistryStatus>,
    /// What it says about it.
    pub detail: Option<String>,
}

/// Explains one repository. None: no such repository.
///
/// # Errors
/// [`EndpointError`] when the writer did not answer.
pub async fn explain(
    store: &Store<Manage>,
    registry: &RegistryClient,
    path: &RepositoryPath,
    deadline: Instant,
) -> Result<Option<Explained>, EndpointError> {
    let Some(around) = store.surroundings(path, deadline).await? else { return Ok(None) };
    let answer = registry.status(path, deadline).await;
    if let StatusAnswer::NoAnswer { reason } = &answer {
        tracing::warn!(%path, reason, "the registry did not answer a status request");
    }
    let idle = answer.idle();
    let (view, detail) = answer.view();
    let registry = RegistryState { answered: view != RegistryView::NoAnswer, status: view.status(), detail };
    Ok(Some(Explained { expected: explanation(&around, view, idle), registry, repository: around.row }))
}
