use std::time::Duration;

use uuid::Uuid;

use super::{
    Cancelation, Finding, GuardDecision, Remedy, Stuck, canceled_decision, guard_decision,
    table::{NOW, situations, stuck, views},
};
use crate::migration::{
    AttemptChange, AttemptId, ContainerRepository, Limits, Made, RegistryStatus, RegistryView, RowChange,
    Situation, SkipReason, State, Step,
};

fn from(state: State, origin: Option<State>) -> Stuck {
    stuck(Situation::new(state, origin))
}

fn apply(stuck: &Stuck, outcome: &RowChange) -> ContainerRepository {
    outcome.apply(&stuck.row, &Made::new(stuck.now, AttemptId::new(Uuid::from_u128(2))))
}

fn limits(stuck: &Stuck) -> Limits {
    let (enabled, is_held) = (stuck.settings.enabled, stuck.is_held);
    Limits { enabled, max_retries: 3, past_time: false, is_held, is_old: false }
}

/// The row after the remedy, with the finding.
fn remedied(stuck: &Stuck, remedy: &Remedy) -> (Finding, ContainerRepository, AttemptChange) {
    let Remedy::Record { finding, plan } = remedy else { panic!("{remedy:?}") };
    let outcome = plan.outcome(&stuck.row, limits(stuck)).unwrap();
    (*finding, apply(stuck, outcome), outcome.attempt)
}

fn recorded(stuck: &Stuck, status: RegistryStatus) -> (Finding, ContainerRepository, AttemptChange) {
    match guard_decision(stuck, RegistryView::Says(status), None) {
        GuardDecision::Apply(remedy) => remedied(stuck, &remedy),
        GuardDecision::Cancel => panic!("{status}"),
    }
}

fn is_left(stuck: &Stuck, view: RegistryView, finding: Finding) -> bool {
    guard_decision(stuck, view, None) == GuardDecision::Apply(Remedy::Leave(finding))
}

fn is_asked_again(stuck: &Stuck, status: RegistryStatus) -> bool {
    guard_decision(stuck, RegistryView::Says(status), None) == GuardDecision::Apply(Remedy::AskAgain)
}

/// When the row is looked at again, in seconds from now.
fn next_look(stuck: &Stuck, finding: Finding) -> Option<i64> {
    stuck.next_look(finding).map(|at| at.duration_since(stuck.now).as_secs())
}

#[test]
fn looks_at_a_running_step_again_when_it_should_be_over() {
    for state in [State::PreImporting, State::Importing] {
        // Steps are usually over within 300 s. Beyond that, each minute.
        for (ran, seconds) in [(15, 285), (299, 1), (300, 60), (301, 60), (4_000, 60)] {
            let mut stuck = from(state, None);
            let since = stuck.now - Duration::from_secs(ran);
            (stuck.row.pre_import_started_at, stuck.row.import_started_at) = (Some(since), Some(since));
            assert_eq!(next_look(&stuck, Finding::Running), Some(seconds), "{state} for {ran} s");
            // Its time counts from when it was asked for once more.
            stuck.asked_again_at = Some(stuck.now - Duration::from_secs(20));
            let expected = if ran < 20 { seconds } else { 280 };
            assert_eq!(next_look(&stuck, Finding::Running), Some(expected), "{state} for {ran} s");
        }
        let mut quick = from(state, None);
        quick.settings.steps.max_step_duration_seconds = 4;
        assert_eq!(next_look(&quick, Finding::Running), Some(4));
    }
}

#[test]
fn looks_soon_again_where_nothing_is_known() {
    for situation in situations() {
        let mut stuck = stuck(situation);
        for finding in [Finding::Unanswered, Finding::AskedAgain] {
            assert_eq!(next_look(&stuck, finding), Some(15), "{situation:?}");
            stuck.settings.steps.max_step_duration_seconds = 4;
            assert_eq!(next_look(&stuck, finding), Some(4), "{situation:?}");
            stuck.settings.steps.max_step_duration_seconds = 300;
        }
    }
}

#[test]
fn leaves_the_next_look_to_a_change_of_the_row() {
    let left = [Finding::Unanswered, Finding::AskedAgain, Finding::Running];
    for &finding in Finding::ALL.iter().filter(|finding| !left.contains(finding)) {
        assert_eq!(next_look(&from(State::Importing, None), finding), None, "{finding}");
    }
    // A parked row runs no step.
    assert_eq!(next_look(&from(State::PreImportDone, None), Finding::Running), None);
}

#[test]
fn a_registry_that_gives_no_answer_changes_nothing() {
    for situation in situations() {
        assert!(is_left(&stuck(situation), RegistryView::NoAnswer, Finding::Unanswered), "{situation:?}");
    }
}

#[test]
fn a_native_repository_is_done() {
    for situation in situations() {
        let (_, after, _) = recorded(&stuck(situation), RegistryStatus::Native);
        assert_eq!(after.migration_state, State::ImportDone);
        assert_eq!((after.skipped_reason, after.slot), (Some(SkipReason::NativeImport), None));
    }
}

#[test]
fn recovers_a_lost_success_without_counting_a_retry() {
    for situation in situations() {
        let (_, after, _) = recorded(&stuck(situation), RegistryStatus::ImportComplete);
        assert_eq!((after.migration_state, after.retries_count), (State::ImportDone, 0), "{situation:?}");
    }
    let (_, after, attempt) = recorded(&from(State::PreImporting, None), RegistryStatus::PreImportComplete);
    assert_eq!((after.migration_state, after.retries_count), (State::Importing, 0));
    assert_eq!((after.version, attempt), (9, AttemptChange::New));
}

#[test]
fn a_step_that_runs_is_left_alone_while_it_has_time() {
    for (state, status) in [
        (State::PreImporting, RegistryStatus::PreImportInProgress),
        (State::Importing, RegistryStatus::ImportInProgress),
    ] {
        let mut stuck = from(state, None);
        assert!(is_left(&stuck, RegistryView::Says(status), Finding::Running));
        stuck.now = jiff::Timestamp::from_second(NOW).unwrap() + Duration::from_secs(601);
        assert_eq!(guard_decision(&stuck, RegistryView::Says(status), None), GuardDecision::Cancel);
    }
}

#[test]
fn cancels_a_step_past_its_time_only_if_it_stands_still() {
    for (state, status) in [
        (State::PreImporting, RegistryStatus::PreImportInProgress),
        (State::Importing, RegistryStatus::ImportInProgress),
    ] {
        let view = RegistryView::Says(status);
        let mut stuck = from(state, None);
        // Within its time it is left alone, however still it stands.
        let never_again = Some(Duration::from_secs(1_000_000));
        assert_eq!(
            guard_decision(&stuck, view, never_again),
            GuardDecision::Apply(Remedy::Leave(Finding::Running))
        );
        stuck.now = jiff::Timestamp::from_second(NOW).unwrap() + Duration::from_secs(100_000);
        for (idle, is_canceled) in
            [(None, true), (Some(0), false), (Some(300), false), (Some(301), true), (Some(u64::MAX), true)]
        {
            let decision = guard_decision(&stuck, view, idle.map(Duration::from_secs));
            let left = GuardDecision::Apply(Remedy::Leave(Finding::Running));
            assert_eq!(decision, if is_canceled { GuardDecision::Cancel } else { left }, "{state} {idle:?}");
        }
    }
}

#[test]
fn a_step_may_take_just_its_time() {
    for (state, step) in [(State::PreImporting, Step::Pre), (State::Importing, Step::Final)] {
        let mut stuck = from(state, None);
        let begun = stuck.now;
        (stuck.row.pre_import_started_at, stuck.row.import_started_at) = (Some(begun), Some(begun));
        let timeout = stuck.settings.steps.timeout(step, None);
        for (ran, is_past) in [(timeout, false), (timeout + Duration::from_secs(1), true)] {
            stuck.now = begun + ran;
            assert_eq!(stuck.is_past_timeout(step), is_past, "{state} for {ran:?}");
        }
    }
}

#[test]
fn adopts_a_step_that_runs_unlike_the_row_says() {
    for (state, status, running) in [
        (State::PreImporting, RegistryStatus::ImportInProgress, State::Importing),
        (State::PreImportDone, RegistryStatus::ImportInProgress, State::Importing),
        (State::PreImportDone, RegistryStatus::PreImportInProgress, State::PreImporting),
        (State::Importing, RegistryStatus::PreImportInProgress, State::PreImporting),
    ] {
        let mut stuck = from(state, None);
        stuck.now += Duration::from_secs(86_400);
        let (finding, after, attempt) = recorded(&stuck, status);
        assert_eq!((finding, attempt), (Finding::Adopted, AttemptChange::Adopt));
        assert_eq!((after.migration_state, after.retries_count), (running, 0));
    }
}

#[test]
fn a_pre_step_with_many_tags_may_take_longer() {
    let mut stuck = from(State::PreImporting, None);
    stuck.now += Duration::from_secs(3_600);
    let running = RegistryView::Says(RegistryStatus::PreImportInProgress);
    assert_eq!(guard_decision(&stuck, running, None), GuardDecision::Cancel);
    stuck.row.tags_count = Some(10_000);
    assert!(is_left(&stuck, running, Finding::Running));
}

#[test]
fn the_time_of_a_step_that_was_asked_for_again_counts_from_then() {
    let mut stuck = from(State::Importing, None);
    stuck.row.import_started_at = Some(jiff::Timestamp::UNIX_EPOCH);
    let running = RegistryView::Says(RegistryStatus::ImportInProgress);
    assert_eq!(guard_decision(&stuck, running, None), GuardDecision::Cancel);
    stuck.asked_again_at = Some(jiff::Timestamp::from_second(NOW - 60).unwrap());
    assert!(is_left(&stuck, running, Finding::Running));
}

#[test]
fn asks_for_a_lost_final_step_with_the_same_attempt() {
    for origin in [None, Some(State::PreImportDone), Some(State::ImportAborted)] {
        assert!(is_asked_again(&from(State::Importing, origin), RegistryStatus::PreImportComplete));
    }
}

#[test]
fn asks_for_an_adopted_unknown_step_with_a_new_attempt() {
    let mut stuck = from(State::Importing, None);
    stuck.row.attempt = None;
    let (_, after, attempt) = recorded(&stuck, RegistryStatus::PreImportComplete);
    assert_eq!((after.migration_state, attempt), (State::Importing, AttemptChange::New));
}

#[test]
fn a_parked_row_goes_on_with_the_final_step() {
    let (finding, after, attempt) =
        recorded(&from(State::PreImportDone, None), RegistryStatus::PreImportComplete);
    assert_eq!((finding, after.migration_state), (Finding::Resumed, State::Importing));
    assert_eq!((attempt, after.resume_state), (AttemptChange::New, Some(State::PreImportDone)));
}

#[test]
fn counts_a_failure_but_not_a_cancelation() {
    for situation in situations() {
        for (status, retries) in [
            (RegistryStatus::PreImportFailed, 1),
            (RegistryStatus::ImportFailed, 1),
            (RegistryStatus::PreImportCanceled, 0),
            (RegistryStatus::ImportCanceled, 0),
        ] {
            let stuck = stuck(situation);
            let (_, after, _) = recorded(&stuck, status);
            assert_eq!((after.migration_state, after.retries_count), (State::ImportAborted, retries));
            let wait = (retries == 0).then(|| stuck.now + Duration::from_secs(5));
            assert_eq!((after.aborted_in_state, after.not_before), (Some(situation.state), wait));
        }
    }
}

#[test]
fn the_last_retrys_failure_skips_the_repository() {
    let mut stuck = from(State::Importing, None);
    stuck.row.retries_count = 2;
    let (_, after, _) = recorded(&stuck, RegistryStatus::ImportFailed);
    assert_eq!(after.migration_state, State::ImportSkipped);
    assert_eq!(after.skipped_reason, Some(SkipReason::TooManyRetries));
}

#[test]
fn asks_again_before_it_counts_an_earlier_failure() {
    for state in [State::PreImporting, State::Importing] {
        for status in
            [RegistryStatus::PreImportFailed, RegistryStatus::ImportFailed, RegistryStatus::ImportCanceled]
        {
            let mut stuck = from(state, Some(State::ImportAborted));
            stuck.earlier_attempt = true;
            assert!(is_asked_again(&stuck, status), "{state} {status}");
            // To be asked is not to have accepted.
            stuck.asked_again_at = Some(stuck.now);
            assert!(is_asked_again(&stuck, status), "{state} {status}");
            stuck.asked_again = true;
            assert_eq!(recorded(&stuck, status).1.migration_state, State::ImportAborted);
        }
    }
}

#[test]
fn counts_a_failure_after_another_status_at_once() {
    for (state, origin) in [
        (State::Importing, Some(State::PreImportDone)),
        (State::Importing, None),
        (State::PreImporting, None),
        (State::PreImportDone, None),
    ] {
        let mut stuck = from(state, origin);
        stuck.earlier_attempt = true;
        assert_eq!(recorded(&stuck, RegistryStatus::ImportFailed).0, Finding::Failed, "{state} {origin:?}");
    }
}

#[test]
fn restarts_an_unknown_repository_with_the_pre_import() {
    for situation in situations() {
        let stuck = stuck(situation);
        let GuardDecision::Apply(remedy) = guard_decision(&stuck, RegistryView::KnowsNothing, None) else {
            panic!()
        };
        let (finding, after, attempt) = remedied(&stuck, &remedy);
        assert_eq!((finding, attempt), (Finding::Restarted, AttemptChange::New));
        assert_eq!(
            (after.migration_state, after.slot, after.retries_count),
            (State::PreImporting, Some(1), 0)
        );
    }
}

#[test]
fn counts_a_timeout_and_skips_at_the_last_retry() {
    let mut stuck = from(State::Importing, None);
    let (finding, after, _) = remedied(&stuck, &canceled_decision(&stuck, Cancelation::Accepted));
    assert_eq!((finding, after.migration_state), (Finding::TimedOut, State::ImportAborted));
    assert_eq!((after.retries_count, after.slot), (1, None));
    // The registry refuses a pre step within five seconds of its cancelation.
    assert_eq!(after.not_before, Some(stuck.now + Duration::from_secs(5)));

    stuck.row.retries_count = 2;
    let (_, after, _) = remedied(&stuck, &canceled_decision(&stuck, Cancelation::Accepted));
    assert_eq!(after.migration_state, State::ImportSkipped);
    assert_eq!(after.skipped_reason, Some(SkipReason::MigrationCanceled));
}

#[test]
fn what_cannot_be_canceled_is_decided_by_how_it_stands() {
    let stuck = from(State::Importing, Some(State::PreImportDone));
    let remedy = canceled_decision(&stuck, Cancelation::Stands(RegistryStatus::ImportComplete));
    assert_eq!(remedied(&stuck, &remedy).1.migration_state, State::ImportDone);
    let unanswered = canceled_decision(&stuck, Cancelation::NoAnswer);
    assert_eq!(unanswered, Remedy::Leave(Finding::Unanswered));
}

#[test]
fn nothing_is_started_while_the_kill_switch_is_off() {
    for situation in situations() {
        for view in views() {
            for earlier_attempt in [false, true] {
                let mut stuck = stuck(situation);
                stuck.settings.enabled = false;
                stuck.earlier_attempt = earlier_attempt;
                match guard_decision(&stuck, view, None) {
                    GuardDecision::Apply(Remedy::AskAgain) => panic!("{situation:?} {view:?}"),
                    GuardDecision::Apply(Remedy::Record { plan, .. }) => {
                        let outcome = plan.outcome(&stuck.row, limits(&stuck)).unwrap();
                        assert_ne!(outcome.attempt, AttemptChange::New, "{situation:?} {view:?}");
                        assert_eq!(
                            apply(&stuck, outcome).retries_count > 0,
                            counts(view) && !earlier(&stuck)
                        );
                    }
                    GuardDecision::Apply(Remedy::Leave(_)) | GuardDecision::Cancel => {}
                }
            }
        }
    }
    fn counts(view: RegistryView) -> bool {
        matches!(view, RegistryView::Says(RegistryStatus::PreImportFailed | RegistryStatus::ImportFailed))
    }
    fn earlier(stuck: &Stuck) -> bool {
        stuck.may_be_of_an_earlier_attempt()
    }
}

#[test]
fn a_remedy_holds_for_the_state_that_was_seen_and_for_no_other() {
    for situation in situations() {
        for view in views() {
            let GuardDecision::Apply(Remedy::Record { plan, .. }) =
                guard_decision(&stuck(situation), view, None)
            else {
                continue;
            };
            for other in Situation::all().into_iter().filter(|other| other.state != situation.state) {
                let mut moved_on = stuck(situation).row;
                moved_on.migration_state = other.state;
                moved_on.resume_state = other.origin.filter(|_| other.state.is_active());
                moved_on.aborted_in_state = other.origin.filter(|_| other.state == State::ImportAborted);
                assert_eq!(plan.outcome(&moved_on, limits(&stuck(situation))), None);
            }
        }
    }
}
