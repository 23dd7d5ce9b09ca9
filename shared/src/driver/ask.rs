use std::{ops::Range, time::Duration};

use rand::RngExt;
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    decision::{Decision, StepStatus, answered, decide, jitter, prove_migrated},
    new_change,
    tags::prepare_final,
};
use crate::{
    endpoint::{EndpointError, Purpose, Writer},
    migration::{AttemptId, ContainerRepository, Step},
    registry::{RegistryClient, StartAnswer, StatusAnswer},
    store::Store,
    telemetry::as_text,
};

/// The registry's answer is awaited no longer than until this much of the deadline is left: what it answers is
/// still to be recorded.
pub(super) const TO_RECORD: Duration = Duration::from_secs(2);

/// Until when the registry's answer is awaited, of the time until `deadline`.
pub(super) fn leave_time_to_record(deadline: Instant) -> Instant {
    deadline.checked_sub(TO_RECORD).unwrap_or(deadline)
}

/// How a registry at its limit is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Its 429 is final.
    None,
    /// It may be about to release the slot of the import whose notification was just answered (it does so only
    /// after it has read the answer), so it is asked again a few times.
    AfterNotification,
}

impl Patience {
    const REPEATS: u32 = 3;
    const PAUSE_MS: Range<u64> = 50..500;

    fn repeats(self) -> u32 {
        match self {
            Self::None => 0,
            Self::AfterNotification => Self::REPEATS,
        }
    }
}

/// What asking the registry came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// How the repository stands.
    pub standing: StepStatus,
    /// Its row, as far as known.
    pub row: ContainerRepository,
}

/// Asks the registry to run the step of a row that has just been started and committed, and records what the
/// answer means. A final step that lacks its pre step becomes a pre step, once.
///
/// # Errors
/// [`EndpointError`] when the answer could not be recorded. The row then stands as if nothing were known of
/// the attempt.
pub async fn ask_registry<P: Purpose<Endpoint = Writer>>(
    store: &Store<P>,
    registry: &RegistryClient,
    row: ContainerRepository,
    patience: Patience,
    deadline: Instant,
) -> Result<Asked, EndpointError> {
    ask(store, registry, row, Asking::First, patience, deadline).await
}

/// As [`ask_registry`], for a row whose attempt the registry may have been asked for already.
///
/// # Errors
/// [`EndpointError`] as [`ask_registry`].
pub(super) async fn ask_registry_again<P: Purpose<Endpoint = Writer>>(
    store: &Store<P>,
    registry: &RegistryClient,
    row: ContainerRepository,
    deadline: Instant,
) -> Result<Asked, EndpointError> {
    ask(store, registry, row, Asking::Again, Patience::None, deadline).await
}

/// Whether the registry was asked for the row's attempt before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asking {
    First,
    Again,
}

async fn ask<P: Purpose<Endpoint = Writer>>(
    store: &Store<P>,
    registry: &RegistryClient,
    row: ContainerRepository,
    asking: Asking,
    patience: Patience,
    deadline: Instant,
) -> Result<Asked, EndpointError> {
    let mut row = row;
    let mut asking = asking;
    loop {
        let (Some(attempt), Some(step)) = (row.attempt, row.migration_state.running_step()) else {
            return Ok(Asked { standing: StepStatus::MovedOn, row });
        };
        if step == Step::Final {
            match prepare_final(store, registry, row.clone(), deadline).await {
                Some(prepared) => row = prepared,
                None => return Ok(Asked { standing: StepStatus::MovedOn, row }),
            }
        }
        let mut answer = start_patiently(registry, &row, step, attempt, patience, deadline).await;
        tracing::info!(path = %row.path, %step, %attempt, answer = as_text(&answer), "asked the registry to start");
        if answer == StartAnswer::ClaimsMigrated {
            answer = prove_migrated(&status_of(registry, &row, deadline).await);
        }
        if asking == Asking::Again && answer == StartAnswer::AlreadyRunning(step) {
            // What runs is this very attempt: there is nobody else's to adopt.
            return Ok(Asked { standing: StepStatus::Running, row });
        }
        asking = Asking::First;
        let (plan, standing, detail) = match decide(step, &answer, jitter()) {
            Decision::Stay(standing) => return Ok(Asked { standing, row }),
            Decision::Record { plan, standing, detail } => (plan, standing, detail),
            Decision::StartPreAgain(plan) => (plan, StepStatus::MovedOn, None),
        };
        let (by, change) = (answered(&answer), new_change());
        let changed =
            store.record_asked(&row.path, attempt, &plan, by, detail.as_deref(), change, deadline).await?;
        let Some(changed) = changed else { return Ok(Asked { standing: StepStatus::MovedOn, row }) };
        let made = changed.verdict.took_effect();
        row = changed.row;
        match standing {
            _ if !made => return Ok(Asked { standing: StepStatus::MovedOn, row }),
            StepStatus::MovedOn => {}
            standing => return Ok(Asked { standing, row }),
        }
    }
}

/// The registry's own word on a repository that it claims to have migrated.
async fn status_of(registry: &RegistryClient, row: &ContainerRepository, deadline: Instant) -> StatusAnswer {
    let deadline = leave_time_to_record(deadline);
    let answer = registry.status(&row.path, deadline).await;
    tracing::info!(path = %row.path, answer = as_text(&answer), "asked the registry whether the repository is migrated");
    answer
}

async fn start_patiently(
    registry: &RegistryClient,
    row: &ContainerRepository,
    step: Step,
    attempt: AttemptId,
    patience: Patience,
    deadline: Instant,
) -> StartAnswer {
    let deadline = leave_time_to_record(deadline);
    let mut repeats = patience.repeats();
    loop {
        let answer = registry.start(&row.path, step, attempt, deadline).await;
        if answer != StartAnswer::RateLimited || repeats == 0 {
            return answer;
        }
        repeats -= 1;
        let pause = Duration::from_millis(rand::rng().random_range(Patience::PAUSE_MS));
        if timeout_at(deadline, sleep(pause)).await.is_err() {
            return answer;
        }
    }
}
