use std::time::Duration;

use jiff::Timestamp;

use crate::migration::{State, StepTimes};

/// How long after a step was asked for the guard looks for the first time: whether it was asked for may have been
/// recorded by nobody, and the notification of a short step may be lost by then.
pub const FIRST_LOOK: Duration = Duration::from_secs(15);

/// The same where steps are usually shorter.
#[must_use]
pub fn first_look(steps: &StepTimes) -> Duration {
    FIRST_LOOK.min(steps.usual())
}

/// When a row that has come into `state` is looked at for the first time. None: the guard is not needed.
#[must_use]
pub fn first_check(
    state: State,
    not_before: Option<Timestamp>,
    now: Timestamp,
    steps: &StepTimes,
) -> Option<Timestamp> {
    match state {
        State::PreImporting | State::Importing => Some(now + first_look(steps)),
        State::PreImportDone => Some(not_before.unwrap_or(now)),
        State::Default | State::ImportDone | State::ImportAborted | State::ImportSkipped => None,
    }
}

/// A time that a row has, beside the database's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookTime {
    /// It has none.
    Never,
    /// It has come.
    Come,
    /// It is still to come.
    ToCome,
}

impl LookTime {
    const fn has_come(self) -> bool {
        match self {
            Self::Never | Self::Come => true,
            Self::ToCome => false,
        }
    }
}

/// Who has leased a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// Nobody.
    Free,
    /// Who asks: the answer to an earlier question may be lost.
    Own,
    /// Somebody else.
    Others,
    /// Somebody else, whose lease is over.
    Over,
}

/// All of a row that decides on who looks at it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// How its migration stands.
    pub state: State,
    /// `not_before`.
    pub not_before: LookTime,
    /// `next_check_at`.
    pub next_check: LookTime,
    /// Its lease.
    pub lease: LeaseState,
    /// The kill switch.
    pub enabled: bool,
}

/// Who looks at a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looker {
    /// Nobody, now.
    Nobody,
    /// The guard, which asks the registry how it stands.
    Guard,
    /// The sweep, which asks the registry for its next step.
    Sweep,
    /// Whoever comes first.
    Either,
}

/// Who looks at a row now. What the store's statements select, said without a database.
#[must_use]
pub fn who_looks(due: Due) -> Looker {
    let may_start = due.enabled && due.not_before.has_come();
    let free = match due.lease {
        LeaseState::Free | LeaseState::Own | LeaseState::Over => true,
        LeaseState::Others => false,
    };
    let guarded = due.next_check.has_come() && free;
    let (guard, sweep) = match due.state {
        State::PreImporting | State::Importing => (guarded, false),
        State::PreImportDone => (guarded && may_start, may_start),
        State::Default | State::ImportAborted => (false, may_start),
        State::ImportDone | State::ImportSkipped => (false, false),
    };
    match (guard, sweep) {
        (true, true) => Looker::Either,
        (true, false) => Looker::Guard,
        (false, true) => Looker::Sweep,
        (false, false) => Looker::Nobody,
    }
}
