use std::collections::BTreeSet;

use super::{
    AFTER_CANCEL, AttemptId, ContainerRepository, Event, HELD_UNTIL, Limits, Made, MissingTags,
    NotificationStatus, Plan, RepositoryPath, RowChange, Situation, SkipReason, State, Transition,
};
use uuid::Uuid;

const ON: Limits = Limits { enabled: true, max_retries: 3, past_time: false, is_held: false, is_old: false };

fn row(state: State) -> ContainerRepository {
    let now = jiff::Timestamp::UNIX_EPOCH;
    ContainerRepository {
        path: RepositoryPath::parse("group/image").unwrap(),
        migration_state: state,
        version: 7,
        attempt: None,
        slot: state.is_in_progress().then_some(1),
        held_since: None,
        retries_count: 0,
        skipped_reason: (state == State::ImportSkipped).then_some(SkipReason::NotInPlan),
        aborted_in_state: (state == State::ImportAborted).then_some(State::Importing),
        resume_state: None,
        pre_import_started_at: Some(now),
        pre_import_done_at: Some(now),
        import_started_at: Some(now),
        import_done_at: (state == State::ImportDone).then_some(now),
        aborted_at: (state == State::ImportAborted).then_some(now),
        skipped_at: (state == State::ImportSkipped).then_some(now),
        not_before: None,
        detail: None,
        tags_count: None,
        tags_check: None,
        missing_tags: None,
        plan: None,
        priority: 0,
        state_since: now,
        created_at: now,
    }
}

fn apply(outcome: &RowChange, before: &ContainerRepository) -> ContainerRepository {
    let now = jiff::Timestamp::from_second(1_000).unwrap();
    let change = AttemptId::new(Uuid::from_u128(1));
    outcome.apply(before, &Made { slot: Some(9), ..Made::new(now, change) })
}

#[test]
fn a_notification_is_accepted_exactly_in_the_active_states() {
    for &status in NotificationStatus::ALL {
        for &state in State::ALL {
            let accepted = Plan::notification(status).outcome(&row(state), ON).is_some();
            assert_eq!(accepted, state.is_active(), "{status} in {state}");
        }
    }
}

#[test]
fn promotes_with_both_transitions_and_a_new_attempt() {
    let before = row(State::PreImporting);
    let plan = Plan::notification(NotificationStatus::PreImportComplete);
    let after = apply(plan.outcome(&before, ON).unwrap(), &before);
    assert_eq!((after.migration_state, after.version), (State::Importing, 9));
    assert_eq!(after.attempt, Some(AttemptId::new(Uuid::from_u128(1))));
    assert_eq!(after.resume_state, Some(State::PreImportDone));
    assert_eq!(after.slot, Some(1));
}

#[test]
fn a_finished_pre_step_stops_there_while_the_kill_switch_is_off() {
    let before = row(State::PreImporting);
    let plan = Plan::notification(NotificationStatus::PreImportComplete);
    let off = Limits { enabled: false, ..ON };
    let after = apply(plan.outcome(&before, off).unwrap(), &before);
    assert_eq!((after.migration_state, after.version), (State::PreImportDone, 8));
    assert_eq!((after.attempt, after.slot), (None, Some(1)));
}

#[test]
fn a_finished_pre_step_told_twice_starts_no_second_final_step() {
    let before = row(State::Importing);
    let plan = Plan::notification(NotificationStatus::PreImportComplete);
    let outcome = plan.outcome(&before, ON).unwrap();
    assert_eq!(outcome.to(), None);
    assert_eq!(apply(outcome, &before), before);
}

#[test]
fn skips_at_the_third_failure_in_the_same_change() {
    for (retries, state, steps) in
        [(0, State::ImportAborted, 1), (1, State::ImportAborted, 1), (2, State::ImportSkipped, 2)]
    {
        let mut before = row(State::Importing);
        before.retries_count = retries;
        let plan = Plan::notification(NotificationStatus::ImportFailed);
        let after = apply(plan.outcome(&before, ON).unwrap(), &before);
        assert_eq!(after.migration_state, state);
        assert_eq!((after.version, after.retries_count, after.slot), (7 + steps, retries + 1, None));
        assert_eq!(after.skipped_reason.is_some(), state == State::ImportSkipped);
        assert_eq!(after.aborted_in_state.is_some(), state == State::ImportAborted);
    }
}

#[test]
fn a_cancellation_is_not_counted_and_waits_five_seconds() {
    let mut before = row(State::PreImporting);
    before.retries_count = 2;
    let plan = Plan::notification(NotificationStatus::PreImportCanceled);
    let after = apply(plan.outcome(&before, ON).unwrap(), &before);
    assert_eq!((after.migration_state, after.retries_count), (State::ImportAborted, 2));
    assert_eq!(after.not_before, Some(jiff::Timestamp::from_second(1_005).unwrap()));
}

#[test]
fn counts_a_cancelation_that_the_guard_asked_for() {
    for status in [NotificationStatus::PreImportCanceled, NotificationStatus::ImportCanceled] {
        for (retries, state) in [(0, State::ImportAborted), (2, State::ImportSkipped)] {
            let mut before = row(State::Importing);
            before.retries_count = retries;
            let late = Limits { past_time: true, ..ON };
            let after = apply(Plan::notification(status).outcome(&before, late).unwrap(), &before);
            let recorded = Plan::canceled_in(State::Importing, AFTER_CANCEL);
            assert_eq!(after, apply(recorded.outcome(&before, ON).unwrap(), &before));
            assert_eq!((after.migration_state, after.retries_count), (state, retries + 1));
        }
    }
}

#[test]
fn starts_nothing_while_a_step_is_just_being_canceled() {
    let late = Limits { past_time: true, ..ON };
    let soon = Some(jiff::Timestamp::from_second(1_015).unwrap());
    for (status, state, to) in [
        (NotificationStatus::PreImportComplete, State::PreImporting, State::PreImportDone),
        (NotificationStatus::PreImportFailed, State::PreImporting, State::ImportAborted),
        (NotificationStatus::ImportFailed, State::Importing, State::ImportAborted),
    ] {
        let before = row(state);
        for limits in [late, Limits { enabled: false, ..late }] {
            let after = apply(Plan::notification(status).outcome(&before, limits).unwrap(), &before);
            assert_eq!((after.migration_state, after.not_before), (to, soon), "{status}");
            assert_eq!(after.retries_count, i32::from(to == State::ImportAborted));
        }
        let last = ContainerRepository { retries_count: 2, ..before };
        let after = apply(Plan::notification(status).outcome(&last, late).unwrap(), &last);
        assert_eq!(after.not_before.is_some(), to == State::PreImportDone, "what is given up does not wait");
    }
    let done = apply(
        Plan::notification(NotificationStatus::ImportComplete).outcome(&row(State::Importing), late).unwrap(),
        &row(State::Importing),
    );
    assert_eq!(done.migration_state, State::ImportDone);
}

#[test]
fn an_aborted_repository_resumes_at_the_step_it_was_aborted_in() {
    let (pre, r#final) = (Event::RetryPreImport, Event::RetryImport);
    for (aborted_in, resumed, retry) in [
        (State::Default, State::PreImporting, pre),
        (State::PreImporting, State::PreImporting, pre),
        (State::PreImportDone, State::Importing, r#final),
        (State::Importing, State::Importing, r#final),
    ] {
        let mut before = row(State::ImportAborted);
        before.aborted_in_state = Some(aborted_in);
        let plan = Plan::claim();
        let outcome = plan.outcome(&before, ON).unwrap();
        let events: Vec<&str> = outcome.steps.iter().map(|step| step.event).collect();
        assert_eq!(events, [retry.name()]);
        let after = apply(outcome, &before);
        assert_eq!((after.migration_state, after.slot), (resumed, Some(9)));
        assert_eq!((after.aborted_at, after.aborted_in_state), (None, None));
    }
}

#[test]
fn returns_a_refused_start_to_where_it_was_claimed() {
    for (from, plan, keeps_slot) in [
        (State::Default, Plan::claim(), false),
        (State::ImportAborted, Plan::claim(), false),
        (State::PreImportDone, Plan::resume(), true),
    ] {
        let before = row(from);
        let started = apply(plan.outcome(&before, ON).unwrap(), &before);
        let refused = Plan::event(Event::StartRefused);
        let after = apply(refused.outcome(&started, ON).unwrap(), &started);
        assert_eq!(after.migration_state, from);
        assert_eq!(after.retries_count, before.retries_count);
        assert_eq!(after.slot.is_some(), keeps_slot);
        assert_eq!(after.pre_import_done_at.is_some(), from != State::Default, "{from}");
        assert_eq!(after.resume_state, None);
    }
}

#[test]
fn forgets_a_pre_import_that_the_registry_wants_again() {
    let before = row(State::PreImportDone);
    let importing = apply(Plan::resume().outcome(&before, ON).unwrap(), &before);
    let pre = Plan::event(Event::StartPreImport);
    let importing = apply(pre.outcome(&importing, ON).unwrap(), &importing);
    assert_eq!(
        (importing.migration_state, importing.resume_state),
        (State::PreImporting, Some(State::Default))
    );
}

#[test]
fn keeps_every_constraint_of_the_row_whatever_happens() {
    for situation in Situation::all() {
        for event in Event::ALL {
            let Ok(outcome) = RowChange::of(situation, &[event]) else { continue };
            let to = outcome.to().unwrap();
            assert_eq!(outcome.holds_slot, to.is_in_progress() && event != Event::Hold);
            assert_eq!(outcome.is_held, event == Event::Hold);
            assert_eq!(outcome.aborted_in_state.is_some(), to == State::ImportAborted);
            assert!(outcome.resume_state.is_none() || to.is_active());
            assert!(outcome.skipped_reason.is_none() || to.is_terminal());
            assert!(outcome.skipped_reason.is_some() || to != State::ImportSkipped);
        }
    }
}

#[test]
fn refuses_with_state_event_and_allowed_states() {
    let done = Situation::new(State::ImportSkipped, None);
    let refused = Transition::of(done, Event::StartImport).unwrap_err();
    assert_eq!(refused.to_string(), "start_import is refused in import_skipped; allowed there: reopen");
}

#[test]
fn believes_no_final_step_that_was_not_asked_for() {
    let plan = Plan::notification(NotificationStatus::ImportComplete);
    for situation in Situation::all().into_iter().filter(|situation| situation.state.is_active()) {
        let entry = &plan.to_json()[situation.key()]["otherwise"];
        let doubted = entry["needs_proof"] == true && entry["steps"].as_array().unwrap().is_empty();
        let done = entry["steps"][0]["to"] == "import_done" && entry["needs_proof"].is_null();
        let expected = (situation.state == State::PreImporting, situation.state == State::Importing);
        assert_eq!((doubted, done), expected, "{}", situation.key());
    }
}

#[test]
fn waits_longer_after_each_counted_failure() {
    let now = jiff::Timestamp::from_second(1_000).unwrap();
    let ids = (0..2_000_u32).map(|random| AttemptId::new(Uuid::from_fields(random * 7919, 0, 0, &[0; 8])));
    let spread: BTreeSet<u64> = ids.map(AttemptId::permille).collect();
    assert_eq!((spread.first(), spread.last()), (Some(&800), Some(&1200)));
    let change = AttemptId::new(Uuid::from_u128(1));
    assert_eq!(change.permille(), 800);
    let cancel = Plan::canceled_in(State::Importing, AFTER_CANCEL);
    let failed = Plan::notification(NotificationStatus::ImportFailed);
    let canceled = Plan::notification(NotificationStatus::ImportCanceled);
    let refused = Plan::event(Event::AbortImport { counted: true });
    for (plan, retries, backoff, waited_ms) in [
        (&failed, 0, 30, Some(24_000)),
        (&failed, 1, 30, Some(240_000)),
        (&failed, 2, 30, Some(1_440_000)),
        (&failed, 7, 30, Some(1_440_000)),
        (&failed, 0, 3600, Some(2_880_000)),
        (&failed, 0, 0, None),
        (&refused, 1, 1, Some(8_000)),
        // The longer of the two waits.
        (&cancel, 0, 0, Some(5_000)),
        (&cancel, 0, 5, Some(5_000)),
        (&cancel, 0, 30, Some(24_000)),
        (&canceled, 1, 3600, Some(5_000)),
    ] {
        let before = ContainerRepository { retries_count: retries, ..row(State::Importing) };
        let limits = Limits { max_retries: 100, ..ON };
        let outcome = plan.outcome(&before, limits).unwrap();
        let retry_backoff = std::time::Duration::from_secs(backoff);
        let after = outcome.apply(&before, &Made { retry_backoff, ..Made::new(now, change) });
        let waited = after.not_before.map(|until| until.duration_since(now).as_millis());
        assert_eq!(waited, waited_ms, "after {retries}, of {backoff} s");
    }
    let last =
        failed.outcome(&ContainerRepository { retries_count: 2, ..row(State::Importing) }, ON).unwrap();
    assert_eq!(last.retry_factors, None, "what is given up does not wait");
}

#[test]
fn forgets_what_was_said_before_once_it_is_over_or_begins_anew() {
    for situation in Situation::all() {
        for event in Event::ALL {
            let Ok(outcome) = RowChange::of(situation, &[event]) else { continue };
            let over = outcome.to() == Some(State::ImportDone) || event == Event::Reopen;
            let before = ContainerRepository {
                detail: Some("blob unknown".to_owned()),
                aborted_in_state: situation.origin,
                ..row(situation.state)
            };
            let kept = apply(&outcome, &before).detail;
            assert_eq!(kept.is_none(), over, "{event} in {}", situation.key());
            let made = Made::new(jiff::Timestamp::UNIX_EPOCH, AttemptId::new(Uuid::from_u128(1)));
            let said = outcome.apply(&before, &Made { detail: Some("as it is"), ..made }).detail;
            assert_eq!(said.as_deref(), Some("as it is"));
        }
    }
}

#[test]
fn a_plan_names_every_situation_once() {
    let keys: Vec<String> = Situation::all().into_iter().map(Situation::key).collect();
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
}

#[test]
fn no_event_by_itself_gives_a_row_a_slot() {
    for event in Event::ALL {
        let json = Plan::event(event).to_json();
        for situation in Situation::all() {
            let takes = json[situation.key()]["otherwise"]["holds_slot"] == true;
            assert!(situation.has_slot() || !takes, "{event} in {}", situation.key());
        }
    }
}

/// A row that is held for `seconds` already.
fn held(seconds: u64) -> ContainerRepository {
    let since = jiff::Timestamp::from_second(1_000).unwrap() - std::time::Duration::from_secs(seconds);
    let row = row(State::PreImportDone);
    ContainerRepository { slot: None, held_since: Some(since), not_before: Some(HELD_UNTIL), ..row }
}

/// A row in each situation.
fn everywhere() -> Vec<ContainerRepository> {
    let in_situation = |situation: Situation| {
        let row = if situation.is_held { held(60) } else { row(situation.state) };
        ContainerRepository {
            aborted_in_state: situation.origin.filter(|_| situation.state == State::ImportAborted),
            resume_state: situation.origin.filter(|_| situation.state.is_active()),
            ..row
        }
    };
    Situation::all().into_iter().map(in_situation).collect()
}

#[test]
fn begins_no_final_step_that_is_held() {
    let limits = Limits { is_held: true, ..ON };
    let notified = |status: &NotificationStatus| Plan::notification(*status);
    let mut plans: Vec<Plan> = NotificationStatus::ALL.iter().map(notified).collect();
    plans.extend([
        Plan::start(),
        Plan::retry(),
        Plan::resume(),
        Plan::hold(),
        Plan::event(Event::StartImport),
    ]);
    plans.extend(State::ALL.iter().map(|state| Plan::seen_in(*state, &[Event::StartImport])));
    for plan in plans {
        for row in everywhere() {
            let Some(outcome) = plan.outcome(&row, limits) else { continue };
            let after = apply(outcome, &row);
            let begins = after.migration_state == State::Importing && after.attempt != row.attempt;
            assert!(!begins, "{} by {plan:?}", row.situation().key());
            assert!(!after.is_held() || after.slot.is_none(), "{after:?}");
        }
    }
}

#[test]
fn gives_its_slot_back_where_the_final_step_is_held() {
    let limits = Limits { is_held: true, ..ON };
    for (before, plan, events) in [
        (
            row(State::PreImporting),
            Plan::notified(NotificationStatus::PreImportComplete, None),
            vec!["finish_pre_import", "hold"],
        ),
        (row(State::PreImportDone), Plan::hold(), vec!["hold"]),
        (row(State::PreImportDone), Plan::resume(), vec!["hold"]),
    ] {
        for enabled in [true, false] {
            let outcome = plan.outcome(&before, Limits { enabled, ..limits }).unwrap();
            assert_eq!(outcome.steps.iter().map(|step| step.event).collect::<Vec<_>>(), events);
            let after = apply(outcome, &before);
            assert!(after.is_held() && after.slot.is_none() && !after.holds_slot(), "{after:?}");
            // The release before passes it over.
            assert_eq!(after.not_before.unwrap().to_string(), "9000-01-01T00:00:00Z");
            assert_eq!((after.retries_count, after.attempt), (before.retries_count, before.attempt));
        }
    }
    assert!(
        Plan::hold().outcome(&row(State::PreImportDone), ON).unwrap().steps.is_empty(),
        "nothing holds it"
    );
}

#[test]
fn goes_on_from_a_hold_by_a_claim_alone() {
    let before = held(60);
    let after = apply(Plan::claim().outcome(&before, ON).unwrap(), &before);
    assert_eq!((after.migration_state, after.slot), (State::Importing, Some(9)));
    assert_eq!((after.held_since, after.not_before), (None, None));
    assert_eq!(after.resume_state, Some(State::PreImportDone));
    for plan in [Plan::start(), Plan::retry(), Plan::resume(), Plan::event(Event::StartImport)] {
        assert_eq!(plan.outcome(&before, ON), None, "{plan:?}");
    }
    // The claim has asked the holds before: a new one does not put the row anywhere else.
    let claim = Plan::claim();
    assert_eq!(claim.outcome(&before, Limits { is_held: true, ..ON }), claim.outcome(&before, ON));
}

#[test]
fn copies_once_more_what_was_held_for_long() {
    let before = held(90_000);
    let old = Limits { is_old: true, ..ON };
    let after = apply(Plan::claim().outcome(&before, old).unwrap(), &before);
    assert_eq!((after.migration_state, after.slot, after.held_since), (State::PreImporting, Some(9), None));
    assert_eq!((after.retries_count, after.pre_import_done_at), (before.retries_count, None));
    // A registry without room for it: it begins anew, and no retry is counted.
    let back = apply(Plan::event(Event::StartRefused).outcome(&after, ON).unwrap(), &after);
    assert_eq!((back.migration_state, back.slot, back.retries_count), (State::Default, None, 0));
}

#[test]
fn retries_with_the_pre_step_while_the_final_one_is_held() {
    let before = row(State::ImportAborted);
    let limits = Limits { is_held: true, ..ON };
    for plan in [Plan::claim(), Plan::start(), Plan::retry()] {
        let after = apply(plan.outcome(&before, limits).unwrap(), &before);
        assert_eq!((after.migration_state, after.slot), (State::PreImporting, Some(9)));
        assert_eq!(after.resume_state, Some(State::ImportAborted));
    }
}

#[test]
fn a_state_lasts_until_another_one_is_entered() {
    let before = row(State::PreImportDone);
    let hold = Plan::hold();
    let held = apply(hold.outcome(&before, Limits { is_held: true, ..ON }).unwrap(), &before);
    assert!(held.is_held() && !held.holds_slot() && before.holds_slot());
    assert_eq!(held.state_since, before.state_since);
    let started = apply(Plan::resume().outcome(&before, ON).unwrap(), &before);
    assert_ne!(started.state_since, before.state_since);
}

#[test]
fn forgets_missing_tags_where_it_begins_anew_alone() {
    let missing = Some(MissingTags { count: 3, names: vec![] });
    for (state, event, are_kept) in [
        (State::ImportDone, Event::Reopen, false),
        (State::ImportAborted, Event::SkipImport(SkipReason::NotInPlan), false),
        (State::Importing, Event::AbortImport { counted: false }, true),
    ] {
        let before = ContainerRepository { missing_tags: missing.clone(), ..row(state) };
        let after = apply(Plan::event(event).outcome(&before, ON).unwrap(), &before);
        assert_eq!(after.missing_tags.is_some(), are_kept, "{event} in {state}");
    }
}
