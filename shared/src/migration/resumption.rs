use super::{Event, NotificationStatus, Plan, RegistryStatus, RegistryView, Settled, Step};

/// How an aborted repository goes on once it has been claimed again and the registry has said how it stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Resumption {
    /// Ask for the step that the row was claimed for.
    Ask,
    /// Record this first. Where that begins an attempt, ask for its step.
    Record(Plan),
}

/// Decides on a row that was aborted and has just been claimed for `step`. An abort may have been no more than
/// our own message lost: what the registry has done meanwhile counts, and nothing is done twice.
///
/// A registry that does not say is asked for the step all the same: its answer to that tells as much.
#[must_use]
pub fn resumption(step: Step, view: RegistryView) -> Resumption {
    let record = |event| Resumption::Record(Plan::event(event));
    let status = match view {
        RegistryView::NoAnswer => return Resumption::Ask,
        RegistryView::KnowsNothing => return from_the_pre_step(step),
        RegistryView::Says(status) => status,
    };
    match status {
        RegistryStatus::Native => record(Event::AlreadyMigrated(Settled::NativeImport)),
        RegistryStatus::PreImportInProgress => record(Event::Adopt(Step::Pre)),
        RegistryStatus::ImportInProgress => record(Event::Adopt(Step::Final)),
        RegistryStatus::ImportComplete => record(Event::FinishImport),
        RegistryStatus::PreImportComplete => match step {
            Step::Pre => Resumption::Record(Plan::notification(NotificationStatus::PreImportComplete)),
            Step::Final => Resumption::Ask,
        },
        // The final step can be had again as it is.
        RegistryStatus::ImportFailed | RegistryStatus::ImportCanceled => Resumption::Ask,
        RegistryStatus::PreImportFailed | RegistryStatus::PreImportCanceled => from_the_pre_step(step),
    }
}

/// The registry has no pre step that a final one could follow.
fn from_the_pre_step(step: Step) -> Resumption {
    match step {
        Step::Pre => Resumption::Ask,
        Step::Final => Resumption::Record(Plan::event(Event::StartPreImport)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Resumption, resumption};
    use crate::migration::{
        AttemptChange, ContainerRepository, Event, Limits, Plan, RegistryStatus, RegistryView, State, Step,
    };

    /// A row that was aborted in `step` and has just been claimed for it.
    fn claimed(step: Step) -> ContainerRepository {
        serde_json::from_value(serde_json::json!({
            "path": "a/b", "migration_state": step.running_state(), "version": 4,
            "attempt": "6f0f2f0e-0000-4000-8000-000000000001", "slot": 1, "retries_count": 1,
            "resume_state": "import_aborted", "priority": 0, "created_at": "2026-01-01T00:00:00Z", "state_since": "2026-01-01T00:00:00Z",
            "pre_import_started_at": "2026-01-01T00:00:00Z", "import_started_at": "2026-01-01T00:00:00Z",
        }))
        .unwrap()
    }

    /// The state that a decision leads to with the kill switch on or off; none: it asks as it is.
    fn leads_to(step: Step, view: RegistryView, enabled: bool) -> Option<(State, AttemptChange)> {
        match resumption(step, view) {
            Resumption::Ask => None,
            Resumption::Record(plan) => {
                let outcome = plan
                    .outcome(
                        &claimed(step),
                        Limits { enabled, max_retries: 3, past_time: false, is_held: false, is_old: false },
                    )
                    .unwrap();
                Some((outcome.to().unwrap(), outcome.attempt))
            }
        }
    }

    #[test]
    fn what_the_registry_has_done_meanwhile_is_not_done_again() {
        for step in [Step::Pre, Step::Final] {
            for (status, to, attempt) in [
                (RegistryStatus::Native, State::ImportDone, AttemptChange::Keep),
                (RegistryStatus::ImportComplete, State::ImportDone, AttemptChange::Keep),
                (RegistryStatus::PreImportInProgress, State::PreImporting, AttemptChange::Adopt),
                (RegistryStatus::ImportInProgress, State::Importing, AttemptChange::Adopt),
            ] {
                assert_eq!(
                    leads_to(step, RegistryView::Says(status), true),
                    Some((to, attempt)),
                    "{step} {status}"
                );
            }
        }
    }

    #[test]
    fn resumes_with_the_final_step_unless_switched_off() {
        let view = RegistryView::Says(RegistryStatus::PreImportComplete);
        assert_eq!(leads_to(Step::Pre, view, true), Some((State::Importing, AttemptChange::New)));
        assert_eq!(leads_to(Step::Pre, view, false), Some((State::PreImportDone, AttemptChange::Keep)));
        assert_eq!(leads_to(Step::Final, view, true), None);
    }

    #[test]
    fn goes_back_to_the_pre_import_that_the_registry_lacks() {
        for view in [
            RegistryView::KnowsNothing,
            RegistryView::Says(RegistryStatus::PreImportFailed),
            RegistryView::Says(RegistryStatus::PreImportCanceled),
        ] {
            assert_eq!(
                leads_to(Step::Final, view, true),
                Some((State::PreImporting, AttemptChange::New)),
                "{view:?}"
            );
            assert_eq!(leads_to(Step::Pre, view, true), None, "{view:?}");
        }
    }

    #[test]
    fn asks_the_same_after_a_failed_final_step_or_silence() {
        for step in [Step::Pre, Step::Final] {
            for view in [
                RegistryView::NoAnswer,
                RegistryView::Says(RegistryStatus::ImportFailed),
                RegistryView::Says(RegistryStatus::ImportCanceled),
            ] {
                assert_eq!(leads_to(step, view, true), None, "{step} {view:?}");
            }
        }
    }

    #[test]
    fn no_retry_is_counted_by_going_on() {
        let abort = Plan::event(Event::AbortImport { counted: true });
        for &status in RegistryStatus::ALL {
            for step in [Step::Pre, Step::Final] {
                assert_ne!(resumption(step, RegistryView::Says(status)), Resumption::Record(abort.clone()));
            }
        }
    }
}
