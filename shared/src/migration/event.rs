use std::fmt;

use super::{SkipReason, State, Step};

/// What can happen to a container repository's migration. The names are the field's standard terms; those from
/// [`Event::StartRefused`] on are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The registry is about to be asked for the pre step.
    StartPreImport,
    /// The pre step succeeded.
    FinishPreImport,
    /// The registry is about to be asked for the final step.
    StartImport,
    /// The final step succeeded.
    FinishImport,
    /// There is nothing to import: the new storage has the repository, or the old one never had it.
    AlreadyMigrated(Settled),
    /// The migration stopped. Counted as a retry only where the repository itself failed.
    AbortImport {
        /// Whether this was the repository's own failure.
        counted: bool,
    },
    /// The migration is given up.
    SkipImport(SkipReason),
    /// As [`Event::StartPreImport`], after an abort.
    RetryPreImport,
    /// As [`Event::StartImport`], after an abort.
    RetryImport,
    /// The registry surely did not start the step it was asked for: back to where the claim came from.
    StartRefused,
    /// The final step is held: the repository waits for it without a slot.
    Hold,
    /// What was held for long is copied once more, before its final step and while users still push.
    RepeatPreImport,
    /// The registry already runs this step, started by an attempt whose answer was lost.
    Adopt(Step),
    /// An operator lets a repository that was given up begin anew, or, with a reason, one that is done.
    Reopen,
}

/// Why there was nothing to import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Settled {
    /// The new storage already serves it.
    NativeImport,
    /// The old storage does not have it.
    NotFound,
}

impl Settled {
    /// The reason stored with the row.
    #[must_use]
    pub const fn reason(self) -> SkipReason {
        match self {
            Self::NativeImport => SkipReason::NativeImport,
            Self::NotFound => SkipReason::NotFound,
        }
    }
}

impl Event {
    /// One of each, for tables and tests.
    pub const ALL: [Self; 16] = [
        Self::StartPreImport,
        Self::FinishPreImport,
        Self::StartImport,
        Self::FinishImport,
        Self::AlreadyMigrated(Settled::NativeImport),
        Self::AbortImport { counted: true },
        Self::AbortImport { counted: false },
        Self::SkipImport(SkipReason::MigrationForcedCanceled),
        Self::RetryPreImport,
        Self::RetryImport,
        Self::StartRefused,
        Self::Adopt(Step::Pre),
        Self::Adopt(Step::Final),
        Self::Reopen,
        Self::Hold,
        Self::RepeatPreImport,
    ];

    /// The name in the history.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StartPreImport => "start_pre_import",
            Self::FinishPreImport => "finish_pre_import",
            Self::StartImport => "start_import",
            Self::FinishImport => "finish_import",
            Self::AlreadyMigrated(_) => "already_migrated",
            Self::AbortImport { counted: true } => "abort_import",
            Self::AbortImport { counted: false } => "abort_import_uncounted",
            Self::SkipImport(_) => "skip_import",
            Self::RetryPreImport => "retry_pre_import",
            Self::RetryImport => "retry_import",
            Self::StartRefused => "start_refused",
            Self::Hold => "hold",
            Self::RepeatPreImport => "repeat_pre_import",
            Self::Adopt(Step::Pre) => "adopt_pre_import",
            Self::Adopt(Step::Final) => "adopt_import",
            Self::Reopen => "reopen",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A state together with where the row came from, as far as that decides what an event does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Situation {
    /// The row's state.
    pub state: State,
    /// `aborted_in_state` of an aborted row, `resume_state` of an active one, else none.
    pub origin: Option<State>,
    /// Whether it waits for its final step without a slot: only in `pre_import_done`.
    pub is_held: bool,
}

impl Situation {
    /// In `state`, come from `origin`, and not held.
    #[must_use]
    pub const fn new(state: State, origin: Option<State>) -> Self {
        Self { state, origin, is_held: false }
    }

    /// Whether the row holds a slot.
    #[must_use]
    pub const fn has_slot(self) -> bool {
        self.state.is_in_progress() && !self.is_held
    }

    /// Every situation a row can be in.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let with = |state, origins: &[State]| {
            origins.iter().map(move |&origin| Self::new(state, Some(origin))).collect::<Vec<_>>()
        };
        let mut all: Vec<Self> = State::ALL
            .iter()
            .filter(|&&state| state != State::ImportAborted)
            .map(|&state| Self::new(state, None))
            .collect();
        all.push(Self { is_held: true, ..Self::new(State::PreImportDone, None) });
        all.extend(with(State::PreImporting, &[State::Default, State::ImportAborted]));
        all.extend(with(State::Importing, &[State::PreImportDone, State::ImportAborted]));
        all.extend(with(
            State::ImportAborted,
            &[State::Default, State::PreImporting, State::PreImportDone, State::Importing],
        ));
        all
    }

    /// How a [`Plan`](super::Plan) names the situation: `state`, `state/origin` or `state/held`.
    #[must_use]
    pub fn key(self) -> String {
        match self.origin {
            _ if self.is_held => format!("{}/held", self.state),
            Some(origin) => format!("{}/{origin}", self.state),
            None => self.state.name().to_owned(),
        }
    }
}
