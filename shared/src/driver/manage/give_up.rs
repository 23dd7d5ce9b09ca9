use tokio::time::Instant;

use crate::{
    driver::ask::leave_time_to_record,
    endpoint::{EndpointError, Manage},
    migration::{ContainerRepository, Plan, RegistryStatus, RepositoryPath, SkipReason, State},
    registry::{CancelAnswer, RegistryClient},
    store::{Noted, Store},
    telemetry::as_text,
};

/// How often a row that moves on meanwhile is looked at again.
const ROUNDS: u32 = 5;

/// How an operator gives a repository up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUp {
    /// Stops a migration that is under way. By force also where the registry says that nothing is.
    Cancel {
        /// Whether by force.
        force: bool,
    },
    /// Takes a repository out, whether its migration is under way or not.
    Skip(SkipReason),
}

impl GiveUp {
    /// The name in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cancel { force: false } => "cancel",
            Self::Cancel { force: true } => "cancel_by_force",
            Self::Skip(_) => "skip",
        }
    }

    /// The reason that is stored with the row.
    #[must_use]
    pub const fn reason(self) -> SkipReason {
        match self {
            Self::Cancel { force: false } => SkipReason::MigrationCanceled,
            Self::Cancel { force: true } => SkipReason::MigrationForcedCanceled,
            Self::Skip(reason) => reason,
        }
    }

    fn by_force(self) -> bool {
        matches!(self, Self::Cancel { force: true })
    }

    /// Whether a row that is `at_rest`, with nothing running at the registry, may be given up.
    fn allows(self, at_rest: State) -> bool {
        match at_rest {
            State::PreImportDone => true,
            State::Default | State::ImportAborted => matches!(self, Self::Skip(_)),
            State::PreImporting | State::Importing | State::ImportDone | State::ImportSkipped => false,
        }
    }
}

/// What giving a repository up came to.
#[derive(Clone, Debug, PartialEq)]
pub enum GaveUp {
    /// It is skipped.
    Skipped {
        /// Its row.
        row: Box<ContainerRepository>,
        /// Whether that freed a slot.
        freed_slot: bool,
    },
    /// Its state does not allow it.
    WrongState(Box<ContainerRepository>),
    /// The registry says that nothing runs that could be canceled. Nothing was changed: the notification or the
    /// guard settles what it says.
    NothingToCancel {
        /// The row.
        row: Box<ContainerRepository>,
        /// How the registry says that it stands; none: it knows of no import.
        previous: Option<RegistryStatus>,
    },
    /// The registry refuses the driver, for whichever repository.
    Refused {
        /// The row.
        row: Box<ContainerRepository>,
        /// The HTTP status of its answer.
        status: u16,
    },
    /// The registry did not say whether it canceled anything. Nothing was changed here.
    NoAnswer(Box<ContainerRepository>),
    /// The row moved on each time it was looked at.
    MovedOn(Box<ContainerRepository>),
    /// No such repository.
    NotFound,
}

impl GaveUp {
    /// The name in logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Skipped { .. } => "skipped",
            Self::WrongState(_) => "wrong_state",
            Self::NothingToCancel { .. } => "nothing_to_cancel",
            Self::Refused { .. } => "refused",
            Self::NoAnswer(_) => "no_answer",
            Self::MovedOn(_) => "moved_on",
            Self::NotFound => "not_found",
        }
    }
}

/// Gives a repository up. What runs is canceled at the registry first, and recorded with the attempt that was
/// seen running, so that the notification of the cancelation finds it recorded. A notification that is faster
/// stops the row instead; then that row is given up.
///
/// # Errors
/// [`EndpointError`] when the writer did not answer. The registry may have canceled the step: the row is
/// stopped then, without a retry counted, and can be given up at rest.
pub async fn give_up(
    store: &Store<Manage>,
    registry: &RegistryClient,
    path: &RepositoryPath,
    how: GiveUp,
    deadline: Instant,
) -> Result<GaveUp, EndpointError> {
    let mut canceled = false;
    let mut moved_on = None;
    for _ in 0..ROUNDS {
        let Some(row) = store.find(path, deadline).await?.map(Box::new) else { return Ok(GaveUp::NotFound) };
        let state = row.migration_state;
        let seen = row.attempt;
        let held_slot = row.holds_slot();
        if state.is_active() {
            // Before it is asked: the notification may be faster than the answer.
            if store.note_canceling(&row, deadline).await? != Noted::Noted {
                moved_on = Some(row);
                continue;
            }
            if let Some(outcome) = not_canceled(registry, row, how, canceled, deadline).await {
                return Ok(outcome);
            }
            canceled = true;
        } else if state.is_terminal() || !(canceled || how.allows(state)) {
            return Ok(GaveUp::WrongState(row));
        }
        let plan = Plan::skip_seen_in(state, how.reason());
        let changed = store.operate(path, seen, &plan, None, deadline).await?;
        let Some(changed) = changed else { return Ok(GaveUp::NotFound) };
        if changed.verdict.took_effect() {
            return Ok(GaveUp::Skipped { row: Box::new(changed.row), freed_slot: held_slot });
        }
        tracing::info!(%path, before = %changed.before, "the repository moved on while it was given up");
        moved_on = Some(Box::new(changed.row));
    }
    Ok(moved_on.map_or(GaveUp::NotFound, GaveUp::MovedOn))
}

/// Has the registry cancel what runs. None: nothing runs any more. `before` says that this call has had
/// something canceled already.
async fn not_canceled(
    registry: &RegistryClient,
    row: Box<ContainerRepository>,
    how: GiveUp,
    before: bool,
    deadline: Instant,
) -> Option<GaveUp> {
    let deadline = leave_time_to_record(deadline);
    let answer = registry.cancel(&row.path, how.by_force(), deadline).await;
    tracing::info!(path = %row.path, attempt = row.attempt.map(tracing::field::display), answer = as_text(&answer), "asked the registry to cancel");
    match answer {
        CancelAnswer::Accepted => None,
        CancelAnswer::CannotBeCanceled {
            previous: Some(RegistryStatus::PreImportCanceled | RegistryStatus::ImportCanceled),
        } if before => None,
        CancelAnswer::NotFound if how.by_force() => None,
        CancelAnswer::CannotBeCanceled { previous } => Some(GaveUp::NothingToCancel { row, previous }),
        CancelAnswer::NotFound => Some(GaveUp::NothingToCancel { row, previous: None }),
        CancelAnswer::Native => Some(GaveUp::NothingToCancel { row, previous: Some(RegistryStatus::Native) }),
        CancelAnswer::NoAnswer { .. } => Some(GaveUp::NoAnswer(row)),
        CancelAnswer::Refused { status, .. } => Some(GaveUp::Refused { row, status }),
    }
}
