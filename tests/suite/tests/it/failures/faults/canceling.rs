//! Faults of the registry in its answer to a cancelation, as the guard and an operator meet them.

use std::time::Instant;

use futures::{StreamExt, stream};
use local::{
    Function, Stack,
    local_registry::{Effect, Journal, Operation, Point, Rule, RuleId, Status, Step, When},
};
use reqwest::Method;
use serde_json::{Value, json};
use suite::{PATIENCE, history, repositories, row, sql, until_state};

use super::{BUDGET, MARGIN, asked_for, guarded_later, nothing_is_left, stack_of};

const HTML: &str = "<html><body><h1>502 Bad Gateway</h1></body></html>";
const HALF: &str = r#"{"errors":[{"code":"IMPORT_CANNOT_BE_CAN"#;

/// One fault of the answer, or of so many.
struct Canceling {
    name: String,
    effect: Effect,
    times: u32,
    /// What an operator is answered: 200 where a new token helped.
    status: u16,
    /// The registry has canceled all the same.
    canceled: bool,
}

fn faults() -> Vec<Canceling> {
    let mut faults = Vec::new();
    for when in [When::Before, When::After] {
        let answer = |status, code: Option<&str>, body: Option<&str>| Effect::Answer {
            status,
            code: code.map(str::to_owned),
            detail: None,
            body: body.map(str::to_owned),
            when,
        };
        let side = format!("{when:?}").to_lowercase();
        for (name, effect, times, status) in [
            ("hanging", Effect::Hang { milliseconds: 60_000, when }, 1, 503),
            ("cut", Effect::Cut { when }, 1, 503),
            ("500", answer(500, None, None), 1, 503),
            ("502-page", answer(502, None, Some(HTML)), 1, 503),
            ("200-page", answer(200, None, Some(HTML)), 1, 503),
            ("half", answer(500, None, Some(HALF)), 1, 503),
            ("401-once", answer(401, Some("UNAUTHORIZED"), None), 1, 200),
            ("401", answer(401, Some("UNAUTHORIZED"), None), 2, 502),
            ("429", answer(429, Some("IMPORT_RATE_LIMIT"), None), 1, 502),
        ] {
            // The registry refuses before it does anything.
            if when == When::Before || !matches!(status, 200 | 502) {
                let canceled = when == When::After;
                faults.push(Canceling { name: format!("{name}-{side}"), effect, times, status, canceled });
            }
        }
    }
    faults
}

impl Canceling {
    fn meets(&self, stack: &Stack) {
        let rule = Rule::new(self.effect.clone()).repository(&self.name).operation(Operation::Cancel);
        stack.registry().unwrap().rules().add(rule.times(self.times));
    }
}

/// A stack in which each fault's repository has a pre step that runs until it is canceled, and nothing is started
/// besides. That it was canceled, the registry keeps to itself where `quiet` says so, until the rule is removed that
/// is returned for it: a notification may be faster than the record of the cancelation.
async fn running(faults: &[Canceling], quiet: impl Fn(&Canceling) -> bool) -> (Stack, Vec<RuleId>) {
    let functions = vec![
        Function::StartMigration,
        Function::RegistryNotification,
        Function::ManageMigrations,
        Function::GuardMigrations,
    ];
    let stack = stack_of(4, functions).await;
    let registry = stack.registry().unwrap();
    registry.rules().add(Rule::new(Effect::Hold { at: Point::Work }).step(Step::Pre));
    let mut held = Vec::new();
    for fault in faults {
        if quiet(fault) {
            let hold = Rule::new(Effect::Hold { at: Point::Notification }).repository(&fault.name);
            held.push(registry.rules().add(hold));
        }
        repositories(&stack, &[&fault.name]).await.unwrap();
        assert_eq!(stack.client().start(&fault.name).await.unwrap().status(), 202);
        assert!(registry.wait_for_status(&fault.name, Status::PreImportInProgress, PATIENCE).await);
        fault.meets(&stack);
    }
    // What is aborted stays so.
    sql(&stack, "UPDATE migration_settings SET capacity = 0").await.unwrap();
    (stack, held)
}

fn faults_are_met(stack: &Stack) {
    let rules = stack.registry().unwrap().rules().list();
    let unmet: Vec<_> =
        rules.into_iter().filter(|(_, rule)| !matches!(rule.effect, Effect::Hold { .. })).collect();
    assert!(unmet.is_empty(), "{unmet:?}");
}

/// What the registry has canceled although it did not say so, it tells of by a notification. Where it was
/// the guard that had noted that it asks for that, it is counted.
async fn stopped_by_its_notification(stack: &Stack, path: &str, counted: bool) {
    until_state(stack, path, "import_aborted").await.unwrap();
    let lines: Vec<String> = history(stack, path).await.unwrap();
    let expected = if counted {
        &[
            "start_pre_import default>pre_importing",
            "cancel pre_importing>pre_importing (canceling)",
            "abort_import pre_importing>import_aborted",
        ][..]
    } else {
        &[
            "start_pre_import default>pre_importing",
            "cancel pre_importing>pre_importing (canceling)",
            "abort_import_uncounted pre_importing>import_aborted",
        ]
    };
    assert_eq!(lines, expected, "{path}");
    assert_eq!(row(stack, path).await.unwrap()["retries_count"], u8::from(counted), "{path}");
}

#[tokio::test(flavor = "multi_thread")]
async fn guard_counts_a_timeout_once_without_an_answer() {
    let faults = faults();
    let (stack, held) = running(&faults, |fault| !fault.canceled).await;

    let summary = guarded_later(&stack, 31).await;

    faults_are_met(&stack);
    let heard = |fault: &&Canceling| fault.status == 200;
    assert_eq!(summary["found"], json!({"timed_out": faults.iter().filter(heard).count()}), "{summary}");
    let unheard: Vec<&Canceling> = faults.iter().filter(|fault| fault.status != 200).collect();
    assert_eq!(summary["unanswered"], json!(unheard.len()), "{summary}");
    for fault in unheard.iter().filter(|fault| fault.canceled) {
        stopped_by_its_notification(&stack, &fault.name, true).await;
    }
    let again: Vec<&Canceling> = unheard.into_iter().filter(|fault| !fault.canceled).collect();
    for fault in &again {
        let row = row(&stack, &fault.name).await.unwrap();
        assert_eq!((&row["migration_state"], suite::changes(&row)), (&json!("pre_importing"), 1), "{row}");
    }

    let summary = guarded_later(&stack, 2).await;

    assert_eq!(
        (&summary["found"], &summary["unanswered"]),
        (&json!({"timed_out": again.len()}), &json!(0)),
        "{summary}"
    );
    // The echo of the cancelation changes nothing any more.
    held.into_iter().for_each(|rule| assert!(stack.registry().unwrap().rules().remove(rule)));
    let notified = |journal: &Journal| {
        let sent = journal.notifications();
        sent.len() == faults.len() && sent.iter().all(|sent| sent.is_accepted())
    };
    assert!(stack.registry().unwrap().journal().wait_until(PATIENCE, notified).await);
    for fault in &faults {
        let row = row(&stack, &fault.name).await.unwrap();
        assert_eq!(
            (&row["migration_state"], &row["retries_count"]),
            (&json!("import_aborted"), &json!(1)),
            "{}",
            fault.name
        );
    }
    nothing_is_left(stack).await;
}

async fn post(stack: &Stack, action: &str, path: &str, body: Value) -> (u16, Value) {
    let began = Instant::now();
    let request = stack.client().as_operator(Method::POST, &format!("/migrations/{action}/{path}"));
    let answer = request.json(&body).send().await.unwrap();
    let took = began.elapsed();
    assert!(took < BUDGET + MARGIN, "{path}: {took:?}");
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_ends_a_step_whose_cancel_was_not_answered() {
    let faults = faults();
    let (stack, _) = running(&faults, |_| false).await;

    let calls = stream::iter(&faults).for_each_concurrent(4, async |fault| {
        let (status, reply) = post(&stack, "cancel", &fault.name, json!({})).await;
        assert_eq!(status, fault.status, "{}: {reply}", fault.name);
        let state = if status == 200 { "import_skipped" } else { "pre_importing" };
        assert_eq!(reply["migration_state"], state, "{}: {reply}", fault.name);
    });
    calls.await;
    faults_are_met(&stack);

    for fault in faults.iter().filter(|fault| fault.status != 200) {
        let (action, body) = match fault.canceled {
            false => ("cancel", json!({})),
            true => {
                stopped_by_its_notification(&stack, &fault.name, false).await;
                let (status, reply) = post(&stack, "cancel", &fault.name, json!({})).await;
                assert_eq!((status, &reply["migration_state"]), (409, &json!("import_aborted")), "{reply}");
                ("skip", json!({"reason": "migration_canceled"}))
            }
        };
        let (status, reply) = post(&stack, action, &fault.name, body).await;
        assert_eq!(
            (status, &reply["skipped_reason"], &reply["retries_count"]),
            (200, &json!("migration_canceled"), &json!(0)),
            "{}: {reply}",
            fault.name
        );
    }
    for fault in &faults {
        let asked = if fault.canceled { 1 } else { 2 } + u32::from(fault.name.starts_with("401-before"));
        let of_it = asked_for(&stack, &fault.name, Operation::Cancel);
        assert_eq!(of_it, asked as usize, "{}", fault.name);
    }
    nothing_is_left(stack).await;
}
