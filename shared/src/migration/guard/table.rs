//! Every row the guard can lease, by everything the registry can say, by what else decides.

use std::{fmt::Write as _, time::Duration};

use uuid::Uuid;

use super::{Cancelation, GuardDecision, Remedy, Stuck, canceled_decision, guard_decision};
use crate::migration::{AttemptId, Limits, Made, Plan, RegistryStatus, RegistryView, Situation, State};

/// The time of every decision here: an hour after 1970 began.
pub(super) const NOW: i64 = 3_600;

/// A row in `situation` that was started ten minutes ago (its steps may take twice that), in the driver's first
/// attempt, with the kill switch on.
pub(super) fn stuck(situation: Situation) -> Stuck {
    let since = "1970-01-01T00:50:00Z";
    let resume = situation.origin.map(State::name);
    let stuck = serde_json::json!({
        "row": {
            "path": "group/image", "migration_state": situation.state, "version": 7,
            "attempt": "00000000-0000-0000-0000-000000000001", "slot": 1, "retries_count": 0,
            "resume_state": resume, "priority": 0, "created_at": "1970-01-01T00:00:00Z", "state_since": "1970-01-01T00:00:00Z",
            "pre_import_started_at": since, "pre_import_done_at": since, "import_started_at": since,
        },
        "settings": {
            "enabled": true, "max_step_duration_seconds": 300, "pre_import_timeout_seconds": 1200,
            "import_timeout_seconds": 1200, "pre_import_seconds_per_tag": 0.5,
        },
        "now": jiff::Timestamp::from_second(NOW).unwrap(),
        "is_held": false, "asked_again_at": null, "asked_again": false, "earlier_attempt": false,
    });
    serde_json::from_value(stuck).unwrap()
}

pub(super) fn situations() -> Vec<Situation> {
    Situation::all().into_iter().filter(|situation| situation.has_slot()).collect()
}

/// What a registry can say.
pub(super) fn views() -> Vec<RegistryView> {
    let statuses = RegistryStatus::ALL.iter().copied().map(RegistryView::Says);
    statuses.chain([RegistryView::KnowsNothing, RegistryView::NoAnswer]).collect()
}

/// What else decides about a row, and how it is brought about.
type Variant = (&'static str, fn(&mut Stuck));

/// What else decides, each by itself.
fn variants() -> Vec<Variant> {
    vec![
        ("past its time", |stuck| {
            let long_ago = jiff::Timestamp::UNIX_EPOCH + Duration::from_secs(60);
            stuck.row.pre_import_started_at = Some(long_ago);
            stuck.row.import_started_at = Some(long_ago);
        }),
        ("after an earlier attempt", |stuck| stuck.earlier_attempt = true),
        ("after an earlier attempt, asked again", |stuck| {
            stuck.earlier_attempt = true;
            stuck.asked_again = true;
        }),
        ("at the last retry", |stuck| stuck.row.retries_count = 2),
        ("adopted from nobody known", |stuck| stuck.row.attempt = None),
        ("switched off", |stuck| stuck.settings.enabled = false),
        ("held", |stuck| stuck.is_held = true),
        ("held, adopted from nobody known", |stuck| {
            stuck.is_held = true;
            stuck.row.attempt = None;
        }),
        ("switched off, after an earlier attempt", |stuck| {
            stuck.settings.enabled = false;
            stuck.earlier_attempt = true;
        }),
    ]
}

/// A plan as what it does to this row: its transitions, and what becomes of attempt, slot and retries.
fn effect(plan: &Plan, stuck: &Stuck) -> String {
    let (enabled, is_held) = (stuck.settings.enabled, stuck.is_held);
    let limits = Limits { enabled, max_retries: 3, past_time: false, is_held, is_old: false };
    let Some(outcome) = plan.outcome(&stuck.row, limits) else { return "REFUSED".to_owned() };
    let mut text = String::new();
    for step in &outcome.steps {
        write!(text, " {} -> {},", step.event, step.to).unwrap();
    }
    let change = AttemptId::new(Uuid::from_u128(2));
    let adopted = Some(AttemptId::new(Uuid::from_u128(3)));
    let after = outcome.apply(&stuck.row, &Made { adopted, ..Made::new(stuck.now, change) });
    let attempt = match after.attempt {
        Some(attempt) if attempt == change => "new attempt",
        Some(attempt) if attempt.uuid() == Uuid::from_u128(3) => "adopted attempt",
        Some(_) | None => "same attempt",
    };
    let retries = after.retries_count - stuck.row.retries_count;
    write!(text, " {attempt}, {}", if after.slot.is_some() { "slot kept" } else { "slot freed" }).unwrap();
    if retries != 0 {
        write!(text, ", {retries} retry counted").unwrap();
    }
    if let Some(reason) = after.skipped_reason {
        write!(text, ", reason {reason}").unwrap();
    }
    if let Some(ms) = outcome.not_before_ms {
        write!(text, ", not before {ms} ms").unwrap();
    }
    text
}

fn said(remedy: &Remedy, stuck: &Stuck) -> String {
    match remedy {
        Remedy::Leave(finding) => format!("leave ({finding})"),
        Remedy::Record { finding, plan } => format!("{finding}:{}", effect(plan, stuck)),
        Remedy::AskAgain => "ask again".to_owned(),
    }
}

fn decided(stuck: &Stuck, view: RegistryView) -> String {
    match guard_decision(stuck, view, None) {
        GuardDecision::Cancel => "cancel".to_owned(),
        GuardDecision::Apply(remedy) => said(&remedy, stuck),
    }
}

fn name(view: RegistryView) -> &'static str {
    match view {
        RegistryView::Says(status) => status.name(),
        RegistryView::KnowsNothing => "knows nothing",
        RegistryView::NoAnswer => "no answer",
    }
}

#[test]
fn every_row_by_every_answer_is_decided_as_the_snapshot_says() {
    let mut lines = String::new();
    for situation in situations() {
        let usual = stuck(situation);
        for view in views() {
            let decision = decided(&usual, view);
            writeln!(lines, "{}, {}: {decision}", situation.key(), name(view)).unwrap();
            for (what, change) in variants() {
                let mut changed = usual.clone();
                change(&mut changed);
                let other = decided(&changed, view);
                if other != decision {
                    writeln!(lines, "    {what}: {other}").unwrap();
                }
            }
        }
    }
    insta::assert_snapshot!(lines);
}

#[test]
fn decides_each_answer_to_a_cancelation_as_in_the_snapshot() {
    let mut lines = String::new();
    let answers =
        RegistryStatus::ALL.iter().map(|&status| (status.name(), Cancelation::Stands(status))).chain([
            ("accepted", Cancelation::Accepted),
            ("knows nothing", Cancelation::KnowsNothing),
            ("no answer", Cancelation::NoAnswer),
        ]);
    for (name, answer) in answers {
        for situation in situations().into_iter().filter(|situation| situation.state.is_active()) {
            let mut stuck = stuck(situation);
            let remedy = said(&canceled_decision(&stuck, answer), &stuck);
            writeln!(lines, "{}, {name}: {remedy}", situation.key()).unwrap();
            stuck.row.retries_count = 2;
            let last = said(&canceled_decision(&stuck, answer), &stuck);
            if last != remedy {
                writeln!(lines, "    at the last retry: {last}").unwrap();
            }
        }
    }
    insta::assert_snapshot!(lines);
}
