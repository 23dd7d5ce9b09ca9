use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use crate::migration::{ContainerRepository, Settings, State, Step};

/// A row that seems stuck, as it was when the guard took it, and what the decision on it needs besides.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Stuck {
    /// The row.
    pub row: ContainerRepository,
    /// The settings at that time.
    pub settings: Settings,
    /// The database's clock at that time.
    pub now: Timestamp,
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
        let started = match step {
            Step::Pre => self.row.pre_import_started_at,
            Step::Final => self.row.import_started_at,
        };
        let timeout = self.settings.step_timeout(step, self.row.tags_count);
        let ran = started.max(self.asked_again_at).map(|since| self.now.duration_since(since));
        ran.and_then(|ran| Duration::try_from(ran).ok()).is_some_and(|ran| ran > timeout)
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
