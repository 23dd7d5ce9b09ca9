use std::time::Duration;

use super::{AFTER_CANCEL, Entry, Plan, RowChange, WHILE_CANCELING};
use crate::migration::{Event, SkipReason, State, event::Situation};

/// Plans for what was observed of a row, and no notification said: they hold for the state the row
/// was seen in and for no other. A row that has left that state meanwhile refuses.
impl Plan {
    /// `events` for a row seen in `state`. A counted abort becomes a skip at the retry limit.
    pub(in crate::migration) fn seen_in(state: State, events: &[Event]) -> Self {
        Self::in_situations(
            |situation| situation.state == state && !super::takes_slot(situation, events),
            |_| events.to_vec(),
        )
    }

    /// The same, but `events` while the kill switch is off. Where they are not possible, nothing is done then.
    pub(in crate::migration) fn or_when_disabled(mut self, events: impl Fn(Situation) -> Vec<Event>) -> Self {
        self.change_entries(|situation, entry| {
            let possible = RowChange::of(situation, &events(situation));
            entry.when_disabled = possible.or_else(|_| RowChange::of(situation, &[])).ok();
        });
        self
    }

    /// A counted abort of a row seen in `state` whose step was canceled past its time. At the retry limit the
    /// row is skipped with the reason that says so.
    pub(in crate::migration) fn canceled_in(state: State, not_before: Duration) -> Self {
        let abort = Event::AbortImport { counted: true };
        let mut plan = Self::seen_in(state, &[abort]).not_before(not_before);
        plan.change_entries(|situation, entry| {
            let skip = Event::SkipImport(SkipReason::MigrationCanceled);
            entry.at_retry_limit = RowChange::of(situation, &[abort, skip]).ok();
        });
        plan
    }

    /// What tells of a cancelation, where that was the guard's and the guard has not recorded it yet: a timeout is the
    /// repository's own failure, whoever is faster.
    pub(in crate::migration) fn counted_past_its_time(mut self) -> Self {
        self.change_entries(|situation, entry| {
            let Self(mut counted) = Self::canceled_in(situation.state, AFTER_CANCEL);
            entry.past_time = counted.remove(&situation.key()).map(Box::new);
        });
        self
    }

    /// What ends a step, where the guard is just about to have it canceled: the next step waits until that surely has
    /// reached the registry, which cancels whatever runs then.
    pub(super) fn waiting_past_its_time(mut self) -> Self {
        let wait_ms = u64::try_from(WHILE_CANCELING.as_millis()).unwrap_or(u64::MAX);
        self.change_entries(|situation, entry| {
            let mut past = entry.clone();
            if past.otherwise.holds_slot && situation.state == State::PreImporting {
                let Ok(parked) = RowChange::of(situation, &[Event::FinishPreImport]) else { return };
                past = Entry {
                    otherwise: parked,
                    when_held: None,
                    when_old: None,
                    when_disabled: None,
                    at_retry_limit: None,
                    past_time: None,
                };
            }
            if !past.otherwise.steps.is_empty() {
                past.otherwise.not_before_ms = Some(wait_ms);
                entry.past_time = Some(Box::new(past));
            }
        });
        self
    }

    pub(super) fn change_entries(&mut self, change: impl Fn(Situation, &mut Entry)) {
        for situation in Situation::all() {
            if let Some(entry) = self.0.get_mut(&situation.key()) {
                change(situation, entry);
            }
        }
    }
}
