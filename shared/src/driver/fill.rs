use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout_at};

use super::{Patience, StepStatus, new_change, start_claimed};
use crate::{
    endpoint::{Claim, EndpointError},
    migration::Brake,
    registry::RegistryClient,
    store::{Claimed, Store},
    telemetry::as_text,
};

/// What became of a free slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Filled {
    /// A repository is at work in it.
    Running,
    /// Nothing was started in it.
    Empty(Why),
}

/// Why nothing more is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// No row is due.
    NoneDue,
    /// As many as the capacity are in progress, or what is free is just being taken by others.
    NoSlot,
    /// The registry is stopping.
    RegistryStopped,
    /// The circuit breaker is open.
    BreakerOpen,
    /// The registry had no room lately.
    RegistryFull,
    /// The free slots stay empty for the waiting time.
    SlotWaits,
    /// The kill switch is off.
    Disabled,
    /// The registry takes no more for now, cannot be reached, or refuses the driver.
    RegistryUnavailable,
    /// The time was up.
    OutOfTime,
}

impl From<Brake> for Why {
    fn from(brake: Brake) -> Self {
        match brake {
            Brake::RegistryStopped => Self::RegistryStopped,
            Brake::BreakerOpen => Self::BreakerOpen,
            Brake::RegistryFull => Self::RegistryFull,
        }
    }
}

/// The pauses before a claim is made anew that passed over what is free: doubling, each up to twice as long by
/// chance, for two seconds at most.
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(5))
    .with_max_delay(Duration::from_millis(500))
    .with_factor(2.0)
    .with_max_times(8)
    .with_jitter();

/// Gives a slot that was freed to the repository that is due next, and to the one after it while those turn out to have
/// nothing to import or are refused. The log says once what became of the slot.
///
/// # Errors
/// [`EndpointError`] when the writer did not answer.
pub async fn fill_slot(
    store: &Store<Claim>,
    registry: &RegistryClient,
    patience: Patience,
    deadline: Instant,
) -> Result<Filled, EndpointError> {
    let filled = fill(store, registry, patience, deadline).await?;
    tracing::info!(event = "slot_freed", filled = as_text(&filled), "a slot was freed");
    Ok(filled)
}

async fn fill(
    store: &Store<Claim>,
    registry: &RegistryClient,
    patience: Patience,
    deadline: Instant,
) -> Result<Filled, EndpointError> {
    while Instant::now() < deadline {
        let row = match claim(store, deadline).await? {
            Claimed::Started(row) => *row,
            Claimed::Disabled => return Ok(Filled::Empty(Why::Disabled)),
            Claimed::NoSlot | Claimed::PassedOver => return Ok(Filled::Empty(Why::NoSlot)),
            Claimed::Held(held) => return Ok(Filled::Empty(held.by.into())),
            Claimed::SlotWaits => return Ok(Filled::Empty(Why::SlotWaits)),
            Claimed::NoneDue => return Ok(Filled::Empty(Why::NoneDue)),
        };
        let asked = start_claimed(store, registry, row, patience, deadline).await?;
        match asked.standing {
            StepStatus::Running | StepStatus::Unknown | StepStatus::MovedOn => return Ok(Filled::Running),
            StepStatus::Postponed | StepStatus::Unwelcome | StepStatus::NotTheRegistry => {
                return Ok(Filled::Empty(Why::RegistryUnavailable));
            }
            // Its slot is free again.
            StepStatus::Settled | StepStatus::Aborted | StepStatus::NotReady => {}
        }
    }
    Ok(Filled::Empty(Why::OutOfTime))
}

/// Claims a free slot for the repository that is due next. Where others are just taking those that are free it claims
/// again: the slot that one of them was to have is free, and nobody else looks for it.
///
/// # Errors
/// [`EndpointError`] when the writer did not answer.
pub(super) async fn claim(store: &Store<Claim>, deadline: Instant) -> Result<Claimed, EndpointError> {
    let claim = || store.claim_next(new_change(), deadline);
    again_where(|claimed| *claimed == Claimed::PassedOver, claim, deadline).await
}

/// Makes an attempt, and makes it again after a pause where others were faster.
///
/// # Errors
/// What the attempt fails with.
pub(super) async fn again_where<T, F>(
    passed_over: impl Fn(&T) -> bool,
    attempt: impl Fn() -> F,
    deadline: Instant,
) -> Result<T, EndpointError>
where
    F: Future<Output = Result<T, EndpointError>>,
{
    let mut outcome = attempt().await?;
    for pause in PAUSES.build() {
        if !passed_over(&outcome) || timeout_at(deadline, sleep(pause)).await.is_err() {
            break;
        }
        outcome = attempt().await?;
    }
    Ok(outcome)
}
