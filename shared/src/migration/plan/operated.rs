use crate::migration::{Event, Plan, SkipReason, State};

/// An operator's changes hold for the state that the row was seen in and for no other: what may be skipped at
/// once while nothing runs must be canceled at the registry first once something does.
impl Plan {
    /// Gives up a row seen in `state`.
    #[must_use]
    pub fn skip_seen_in(state: State, reason: SkipReason) -> Self {
        Self::seen_in(state, &[Event::SkipImport(reason)])
    }

    /// Lets a row that was given up or stopped begin anew.
    #[must_use]
    pub fn reopen() -> Self {
        Self::in_situations(|situation| situation.state != State::ImportDone, |_| vec![Event::Reopen])
    }

    /// The same, and also one that is done: the operator has said why it is not.
    #[must_use]
    pub fn reopen_with_reason() -> Self {
        Self::event(Event::Reopen)
    }
}

#[cfg(test)]
mod tests {
    use crate::migration::{Plan, SkipReason, State};

    #[test]
    fn reopens_what_is_done_only_with_a_reason() {
        for (plan, states) in [
            (Plan::reopen(), vec!["import_aborted", "import_skipped"]),
            (Plan::reopen_with_reason(), vec!["import_aborted", "import_done", "import_skipped"]),
        ] {
            let json = plan.to_json();
            let keys = json.as_object().unwrap().keys().map(|key| key.split('/').next().unwrap());
            assert_eq!(keys.collect::<std::collections::BTreeSet<_>>(), states.into_iter().collect());
        }
    }

    #[test]
    fn a_skip_holds_for_the_state_that_was_seen_and_no_other() {
        for &state in State::ALL {
            let json = Plan::skip_seen_in(state, SkipReason::NotInPlan).to_json();
            let keys: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
            assert_eq!(keys.is_empty(), state.is_terminal(), "{state}");
            assert!(keys.iter().all(|key| key.split('/').next() == Some(state.name())), "{state}: {keys:?}");
        }
    }
}
