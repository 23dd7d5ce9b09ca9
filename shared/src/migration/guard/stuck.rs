use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::{Finding, due::first_look};
use crate::migration::{ContainerRepository, State, Step, StepTimes};

/// How often the registry is asked about a step that takes longer than is usual.
const LATER_LOOK: Duration = Duration::from_secs(60);

/// The settings that the guard decides by. Not the others: a list among them may be longer than an answer.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct GuardSettings {
    /// The kill switch.
    pub enabled: bool,
    /// How long steps may take.
    #[serde(flatten)]
    pub steps: StepTimes,
}

/// A row that the guard has leased, as it was then, and what the decision on it needs besides.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Stuck {
    /// The row.
    pub row: ContainerRepository,
    /// The settings at that time.
    pub settings: GuardSettings,
    /// The database's clock at that time.
    pub now: Timestamp,
    /// Whether a hold holds its final step.
    pub is_held: bool,
    /// When the registry was last asked again for the row's step with the row's attempt.
    pub asked_again_at: Option<Timestamp>,
    /// Whether the registry is known to have accepted that.
    pub asked_again: bool,
    /// Whether the row has had another attempt that the registry may have run.
    pub earlier_attempt: bool,
}

impl Stuck {
    /// Whether the row's step has run longer than the settings allow. Counted from its start, or from when it
    /// was asked for again: until then it may not have run at all.
    #[must_use]
    pub fn is_past_timeout(&self, step: Step) -> bool {
        let timeout = self.settings.steps.timeout(step, self.row.tags_count);
        self.running_since(step)
            .and_then(|since| Duration::try_from(self.now.duration_since(since)).ok())
            .is_some_and(|ran| ran > timeout)
    }

    /// When to look again at the row, of which `finding` was found and nothing recorded. None: a change of the
    /// row has said so, or it is due still.
    #[must_use]
    pub fn next_look(&self, finding: Finding) -> Option<Timestamp> {
        let steps = &self.settings.steps;
        let soon = || Some(self.now + first_look(steps));
        match finding {
            // A start like any other, or a registry that may be about to answer.
            Finding::AskedAgain | Finding::Unanswered => soon(),
            Finding::Running => {
                let step = self.row.migration_state.running_step()?;
                let usual_end = self.running_since(step).map(|since| since + steps.usual());
                let later = self.now + steps.usual().min(LATER_LOOK);
                Some(usual_end.filter(|end| *end > self.now).unwrap_or(later))
            }
            Finding::Native
            | Finding::Finished
            | Finding::Adopted
            | Finding::Promoted
            | Finding::Parked
            | Finding::Resumed
            | Finding::Restarted
            | Finding::Failed
            | Finding::Canceled
            | Finding::TimedOut
            | Finding::GivenBack => None,
        }
    }

    fn running_since(&self, step: Step) -> Option<Timestamp> {
        let started = match step {
            Step::Pre => self.row.pre_import_started_at,
            Step::Final => self.row.import_started_at,
        };
        started.max(self.asked_again_at)
    }

    /// Whether a failure or a cancelation that the registry reports may be that of an earlier attempt.
    ///
    /// A row is started anew and committed before the registry is asked. If the process ends between the two,
    /// the registry still reports how the attempt before ended, which is recorded already: taken for the new
    /// attempt's end it would count one failure twice. So the registry is asked for the step once more, with
    /// the same attempt, and only what it reports after it has accepted that is surely the attempt's.
    ///
    /// There is no such doubt where the registry had reported something else since the earlier attempt: a row
    /// that was promoted or resumed (the pre step complete) or adopted (a step running).
    #[must_use]
    pub fn may_be_of_an_earlier_attempt(&self) -> bool {
        let asked_blindly = match self.row.resume_state {
            Some(State::Default | State::ImportAborted) => true,
            Some(
                State::PreImporting
                | State::PreImportDone
                | State::Importing
                | State::ImportDone
                | State::ImportSkipped,
            )
            | None => false,
        };
        asked_blindly && self.earlier_attempt && !self.asked_again
    }
}
