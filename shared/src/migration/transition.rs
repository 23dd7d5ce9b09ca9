use super::{Event, Settled, SkipReason, State, Step, TagsChange, event::Situation};

/// The event is not possible in this state; nothing changes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event} is refused in {state}; allowed there: {}", names(allowed))]
pub struct Refused {
    /// The row's state.
    pub state: State,
    /// What was asked for.
    pub event: Event,
    /// What would have been possible.
    pub allowed: Vec<Event>,
}

fn names(events: &[Event]) -> String {
    if events.is_empty() {
        return "nothing".to_owned();
    }
    events.iter().map(|event| event.name()).collect::<Vec<_>>().join(", ")
}

/// The columns that hold when something last happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimestampColumn {
    /// The registry was asked for the pre step.
    PreImportStarted,
    /// The pre step was done.
    PreImportDone,
    /// The registry was asked for the final step.
    ImportStarted,
    /// The migration was done.
    ImportDone,
    /// The migration stopped.
    Aborted,
    /// The migration was given up.
    Skipped,
}

impl TimestampColumn {
    /// Every one of them.
    pub const ALL: [Self; 6] = [
        Self::PreImportStarted,
        Self::PreImportDone,
        Self::ImportStarted,
        Self::ImportDone,
        Self::Aborted,
        Self::Skipped,
    ];

    /// The column's name.
    #[must_use]
    pub const fn column(self) -> &'static str {
        match self {
            Self::PreImportStarted => "pre_import_started_at",
            Self::PreImportDone => "pre_import_done_at",
            Self::ImportStarted => "import_started_at",
            Self::ImportDone => "import_done_at",
            Self::Aborted => "aborted_at",
            Self::Skipped => "skipped_at",
        }
    }
}

/// What a transition does with the number of retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Retries {
    /// Leaves it.
    Keep,
    /// Adds one.
    Count,
    /// Sets it to zero.
    Reset,
}

/// What a transition does with the attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptChange {
    /// Leaves it.
    Keep,
    /// A request to the registry follows: a new attempt, whose id is that of the change.
    New,
    /// The last attempt before the current one that asked for this step and was not surely refused; none if
    /// there is no such.
    Adopt,
    /// Forgets it.
    Clear,
}

/// One change of the state and everything that goes with it in the same statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The event behind it.
    pub event: Event,
    /// The state entered.
    pub to: State,
    /// Columns set to the database's now.
    pub now: Vec<TimestampColumn>,
    /// Columns set to NULL.
    pub cleared: Vec<TimestampColumn>,
    /// `aborted_in_state` afterwards.
    pub aborted_in_state: Option<State>,
    /// `resume_state` afterwards.
    pub resume_state: Option<State>,
    /// `skipped_reason` afterwards.
    pub skipped_reason: Option<SkipReason>,
    /// The number of retries.
    pub retries: Retries,
    /// The attempt.
    pub attempt: AttemptChange,
    /// The comparison of the tags.
    pub tags: TagsChange,
}

impl Transition {
    /// What `event` does in `situation`.
    ///
    /// # Errors
    /// [`Refused`] where the table has no such transition.
    pub fn of(situation: Situation, event: Event) -> Result<Self, Refused> {
        target(situation, event).map(|to| Self::entering(situation, event, to)).ok_or_else(|| Refused {
            state: situation.state,
            event,
            allowed: Event::ALL.into_iter().filter(|&event| target(situation, event).is_some()).collect(),
        })
    }

    fn entering(situation: Situation, event: Event, to: State) -> Self {
        let from = situation.state;
        let (now, mut cleared) = timestamps(situation, event, to);
        if from == State::ImportAborted && to != State::ImportAborted {
            cleared.push(TimestampColumn::Aborted);
        }
        Self {
            event,
            to,
            now,
            cleared,
            aborted_in_state: (to == State::ImportAborted).then_some(from),
            resume_state: resume_state(situation, event),
            skipped_reason: match event {
                Event::SkipImport(reason) => Some(reason),
                Event::AlreadyMigrated(settled) => Some(settled.reason()),
                _ => None,
            },
            retries: match event {
                Event::AbortImport { counted: true } => Retries::Count,
                Event::Reopen => Retries::Reset,
                _ => Retries::Keep,
            },
            attempt: match event {
                Event::StartPreImport
                | Event::StartImport
                | Event::RetryPreImport
                | Event::RetryImport
                | Event::RepeatPreImport => AttemptChange::New,
                Event::Adopt(_) => AttemptChange::Adopt,
                Event::Reopen => AttemptChange::Clear,
                Event::FinishPreImport
                | Event::FinishImport
                | Event::AlreadyMigrated(_)
                | Event::AbortImport { .. }
                | Event::SkipImport(_)
                | Event::StartRefused
                | Event::Hold => AttemptChange::Keep,
            },
            tags: match event {
                Event::StartImport | Event::RetryImport => TagsChange::Due,
                Event::FinishImport => TagsChange::Finish,
                Event::AlreadyMigrated(Settled::NativeImport) => TagsChange::Settle,
                Event::AlreadyMigrated(Settled::NotFound) | Event::SkipImport(_) | Event::Reopen => {
                    TagsChange::Clear
                }
                Event::StartPreImport
                | Event::FinishPreImport
                | Event::RetryPreImport
                | Event::AbortImport { .. }
                | Event::StartRefused
                | Event::Hold
                | Event::RepeatPreImport
                | Event::Adopt(_) => TagsChange::Keep,
            },
        }
    }
}

/// The table: the state that `event` leads to, or none where it is refused.
fn target(situation: Situation, event: Event) -> Option<State> {
    use State::{Default, ImportAborted, ImportDone, ImportSkipped, Importing, PreImportDone, PreImporting};
    match event {
        Event::StartPreImport => match situation.state {
            Default | PreImporting | Importing | ImportAborted => Some(PreImporting),
            PreImportDone | ImportDone | ImportSkipped => None,
        },
        Event::FinishPreImport => match situation.state {
            PreImporting | Importing | ImportAborted => Some(PreImportDone),
            Default | PreImportDone | ImportDone | ImportSkipped => None,
        },
        Event::StartImport => match situation.state {
            PreImporting | PreImportDone | Importing | ImportAborted => Some(Importing),
            Default | ImportDone | ImportSkipped => None,
        },
        Event::FinishImport | Event::AlreadyMigrated(_) => match situation.state {
            Default | PreImporting | PreImportDone | Importing | ImportAborted => Some(ImportDone),
            ImportDone | ImportSkipped => None,
        },
        Event::AbortImport { .. } => match situation.state {
            Default | PreImporting | PreImportDone | Importing => Some(ImportAborted),
            ImportAborted | ImportDone | ImportSkipped => None,
        },
        Event::SkipImport(_) => match situation.state {
            Default | PreImporting | PreImportDone | Importing | ImportAborted => Some(ImportSkipped),
            ImportDone | ImportSkipped => None,
        },
        Event::RetryPreImport => match situation.state {
            PreImporting | Importing | ImportAborted => Some(PreImporting),
            Default | PreImportDone | ImportDone | ImportSkipped => None,
        },
        Event::RetryImport => match situation.state {
            PreImporting | Importing | ImportAborted => Some(Importing),
            Default | PreImportDone | ImportDone | ImportSkipped => None,
        },
        Event::StartRefused => match situation.state {
            PreImporting | Importing => situation.origin,
            Default | PreImportDone | ImportDone | ImportAborted | ImportSkipped => None,
        },
        Event::Hold => match situation.state {
            PreImportDone if !situation.is_held => Some(PreImportDone),
            Default | PreImporting | PreImportDone | Importing | ImportDone | ImportAborted
            | ImportSkipped => None,
        },
        Event::RepeatPreImport => match situation.state {
            PreImportDone if situation.is_held => Some(PreImporting),
            Default | PreImporting | PreImportDone | Importing | ImportDone | ImportAborted
            | ImportSkipped => None,
        },
        Event::Adopt(step) => match situation.state {
            PreImporting | PreImportDone | Importing => Some(step.running_state()),
            Default | ImportDone | ImportAborted | ImportSkipped => None,
        },
        Event::Reopen => match situation.state {
            ImportDone | ImportAborted | ImportSkipped => Some(Default),
            Default | PreImporting | PreImportDone | Importing => None,
        },
    }
}

/// The columns set to now and those cleared on entering `to`.
fn timestamps(situation: Situation, event: Event, to: State) -> (Vec<TimestampColumn>, Vec<TimestampColumn>) {
    match event {
        // The pre step is as done as it was.
        Event::Hold => return (vec![], vec![]),
        // The same, and nothing has begun anew.
        Event::StartRefused if to != State::ImportAborted => return (vec![], vec![]),
        Event::Reopen => return (vec![], TimestampColumn::ALL.to_vec()),
        // Already known to run: its time is counted from its own start.
        Event::Adopt(_) if to == situation.state => return (vec![], vec![]),
        _ => {}
    }
    match to {
        State::Default => (vec![], vec![]),
        State::PreImporting => {
            (vec![TimestampColumn::PreImportStarted], vec![TimestampColumn::PreImportDone])
        }
        State::PreImportDone => (vec![TimestampColumn::PreImportDone], vec![]),
        State::Importing => (vec![TimestampColumn::ImportStarted], vec![TimestampColumn::ImportDone]),
        State::ImportDone => (vec![TimestampColumn::ImportDone], vec![]),
        State::ImportAborted => (vec![TimestampColumn::Aborted], vec![]),
        State::ImportSkipped => (vec![TimestampColumn::Skipped], vec![]),
    }
}

/// Where a start that the registry surely refuses goes back to.
fn resume_state(situation: Situation, event: Event) -> Option<State> {
    match event {
        Event::StartPreImport | Event::StartImport | Event::RetryPreImport | Event::RetryImport => {}
        // The copy that there is is old: what the registry refuses to renew begins anew.
        Event::RepeatPreImport => return Some(State::Default),
        Event::FinishPreImport
        | Event::FinishImport
        | Event::AlreadyMigrated(_)
        | Event::AbortImport { .. }
        | Event::SkipImport(_)
        | Event::StartRefused
        | Event::Hold
        | Event::Adopt(_)
        | Event::Reopen => return None,
    }
    match situation.state {
        State::Default | State::PreImportDone | State::ImportAborted => Some(situation.state),
        // Back to the pre step: the pre step that was done counts for nothing any more.
        State::Importing if step_started(event) == Step::Pre => match situation.origin {
            Some(State::ImportAborted) => Some(State::ImportAborted),
            _ => Some(State::Default),
        },
        State::PreImporting | State::Importing => situation.origin,
        State::ImportDone | State::ImportSkipped => None,
    }
}

fn step_started(event: Event) -> Step {
    match event {
        Event::StartPreImport | Event::RetryPreImport | Event::RepeatPreImport | Event::Adopt(Step::Pre) => {
            Step::Pre
        }
        Event::StartImport
        | Event::RetryImport
        | Event::Adopt(Step::Final)
        | Event::FinishPreImport
        | Event::FinishImport
        | Event::AlreadyMigrated(_)
        | Event::AbortImport { .. }
        | Event::SkipImport(_)
        | Event::StartRefused
        | Event::Hold
        | Event::Reopen => Step::Final,
    }
}
