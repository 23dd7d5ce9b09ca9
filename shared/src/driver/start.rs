use tokio::time::Instant;

use super::{Asked, Patience, fill::again_where, new_change, start_claimed};
use crate::{
    endpoint::{EndpointError, Purpose, Start, Writer},
    migration::{ContainerRepository, Held, RepositoryPath},
    registry::RegistryClient,
    store::{Started, Store},
    telemetry::as_text,
};

/// What an operator's start came to.
#[derive(Clone, Debug, PartialEq)]
pub enum StartOutcome {
    /// The registry was asked.
    Asked(Box<Asked>),
    /// The row's state does not allow a start.
    WrongState(Box<ContainerRepository>),
    /// The kill switch is off.
    Disabled,
    /// As many as the capacity are in progress.
    NoSlot,
    /// Starts are held back.
    Held(Held),
    /// No such repository.
    NotFound,
}

impl StartOutcome {
    /// The name in logs: how the repository stands, or why it was not begun.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Asked(asked) => as_text(&asked.standing),
            Self::WrongState(_) => "wrong_state".to_owned(),
            Self::Disabled => "disabled".to_owned(),
            Self::NoSlot => "no_slot".to_owned(),
            Self::Held(held) => held.by.name().to_owned(),
            Self::NotFound => "not_found".to_owned(),
        }
    }
}

/// Begins one repository's migration: claims a slot, commits, asks the registry. One call to the writer where
/// the registry accepts, two where its answer is to be recorded.
///
/// # Errors
/// [`EndpointError`] when the writer did not answer. Nothing is half done: either nothing was committed, or
/// the row stands as started and the registry will be asked what became of it.
pub async fn start(
    store: &Store<Start>,
    registry: &RegistryClient,
    path: &RepositoryPath,
    deadline: Instant,
) -> Result<StartOutcome, EndpointError> {
    let start = || store.start(path, new_change(), deadline);
    let started = again_where(|started| *started == Started::PassedOver, start, deadline).await?;
    began(store, registry, started, deadline).await
}

/// Asks the registry where a claim took the row, and says what stood in the way elsewhere.
pub(super) async fn began<P: Purpose<Endpoint = Writer>>(
    store: &Store<P>,
    registry: &RegistryClient,
    started: Started,
    deadline: Instant,
) -> Result<StartOutcome, EndpointError> {
    Ok(match started {
        Started::Started(row) => {
            let asked = start_claimed(store, registry, *row, Patience::None, deadline).await?;
            StartOutcome::Asked(Box::new(asked))
        }
        Started::WrongState(row) => StartOutcome::WrongState(row),
        Started::Disabled => StartOutcome::Disabled,
        Started::NoSlot | Started::PassedOver => StartOutcome::NoSlot,
        Started::Held(held) => StartOutcome::Held(held),
        Started::NotFound => StartOutcome::NotFound,
    })
}
