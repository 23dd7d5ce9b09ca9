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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::{Due, LeaseState, LookTime, Looker, first_check, who_looks};
    use crate::migration::{State, StepTimes};

    const NOW: Timestamp = Timestamp::constant(1_000, 0);

    fn steps(usual_seconds: i32) -> StepTimes {
        StepTimes {
            max_step_duration_seconds: usual_seconds,
            pre_import_timeout_seconds: 1800,
            import_timeout_seconds: 600,
            pre_import_seconds_per_tag: 0.5,
        }
    }

    #[test]
    fn looks_at_a_step_soon_and_at_a_parked_row_when_due() {
        let after = |seconds| Some(NOW + Duration::from_secs(seconds));
        for (state, first, first_of_short) in [
            (State::PreImporting, after(15), after(4)),
            (State::Importing, after(15), after(4)),
            (State::PreImportDone, after(60), after(60)),
            (State::Default, None, None),
            (State::ImportDone, None, None),
            (State::ImportAborted, None, None),
            (State::ImportSkipped, None, None),
        ] {
            let of = |usual| first_check(state, after(60), NOW, &steps(usual));
            assert_eq!((of(300), of(4)), (first, first_of_short), "{state}");
        }
        assert_eq!(first_check(State::PreImportDone, None, NOW, &steps(300)), Some(NOW));
    }

    #[test]
    fn is_looked_at_by_whoever_its_state_and_times_allow() {
        use LookTime::{Come, Never, ToCome};
        use Looker::{Either, Guard, Nobody, Sweep};
        let looked = |state, not_before, next_check, enabled| {
            who_looks(Due { state, not_before, next_check, lease: LeaseState::Free, enabled })
        };
        for time in [Never, Come] {
            for state in [State::PreImporting, State::Importing] {
                // Whatever runs is looked at, whether anything may be started or not.
                for (not_before, enabled) in [(Never, true), (ToCome, true), (Come, false)] {
                    assert_eq!(looked(state, not_before, time, enabled), Guard, "{state}");
                    assert_eq!(looked(state, not_before, ToCome, enabled), Nobody, "{state}");
                }
            }
            assert_eq!(looked(State::PreImportDone, time, Come, true), Either);
            assert_eq!(looked(State::PreImportDone, time, ToCome, true), Sweep);
            for state in [State::Default, State::ImportAborted] {
                assert_eq!(looked(state, time, Come, true), Sweep, "{state}");
                assert_eq!(looked(state, time, Come, false), Nobody, "{state}");
            }
        }
        for state in [State::PreImportDone, State::Default, State::ImportAborted] {
            assert_eq!(looked(state, ToCome, Come, true), Nobody, "{state}");
        }
        assert_eq!(looked(State::PreImportDone, Come, Come, false), Nobody);
        for state in [State::ImportDone, State::ImportSkipped] {
            assert_eq!(looked(state, Come, Come, true), Nobody, "{state}");
        }
    }

    #[test]
    fn a_lease_keeps_other_guards_away_and_no_sweep() {
        use LeaseState::{Free, Others, Over, Own};
        let looked = |state, lease| {
            let (not_before, next_check) = (LookTime::Come, LookTime::Come);
            who_looks(Due { state, not_before, next_check, lease, enabled: true })
        };
        for lease in [Free, Own, Over] {
            assert_eq!(looked(State::Importing, lease), Looker::Guard, "{lease:?}");
            assert_eq!(looked(State::PreImportDone, lease), Looker::Either, "{lease:?}");
        }
        assert_eq!(looked(State::Importing, Others), Looker::Nobody);
        assert_eq!(looked(State::PreImportDone, Others), Looker::Sweep);
    }
}
