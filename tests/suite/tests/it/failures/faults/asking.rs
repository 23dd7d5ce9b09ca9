//! Faults of the registry in its answer to how a repository stands, as the guard, a retry and an explanation meet
//! them.

use std::time::Instant;

use futures::{StreamExt, stream};
use local::{
    Function, Stack,
    local_registry::{Effect, Operation, Point, Rule, Status, Step, When},
};
use reqwest::Method;
use serde_json::{Value, json};
use suite::{PATIENCE, primary, repositories, row};

use super::{
    BUDGET, MARGIN, WHOLE, asked_for, attempt, guarded_later, is_migrated_by, nothing_is_left, stack_of,
};

const HTML: &str = "<html><body><h1>502 Bad Gateway</h1></body></html>";
const HALF: &str = r#"{"name":"image","path":"group/ima"#;

/// How a fault of one answer, or of so many, ends for whoever asks.
struct Asking {
    name: &'static str,
    effect: Effect,
    times: u32,
    /// The registry says in the end how it stands.
    answered: bool,
}

fn faults() -> Vec<Asking> {
    let when = When::Before;
    let answer = |status, body: Option<&str>| {
        let body = body.map(str::to_owned);
        Effect::Answer { status, code: None, detail: None, body, when }
    };
    let unauthorized = || {
        let code = Some("UNAUTHORIZED".to_owned());
        Effect::Answer { status: 401, code, detail: None, body: None, when }
    };
    let fault = |name, effect| Asking { name, effect, times: 1, answered: false };
    vec![
        fault("hanging", Effect::Hang { milliseconds: 60_000, when }),
        fault("cut", Effect::Cut { when }),
        fault("500", answer(500, None)),
        fault("502-page", answer(502, Some(HTML))),
        fault("200-page", answer(200, Some(HTML))),
        fault("404-page", answer(404, Some(HTML))),
        fault("half", answer(200, Some(HALF))),
        fault("429", answer(429, None)),
        // Once, a new token helps.
        Asking { answered: true, ..fault("401-once", unauthorized()) },
        Asking { times: 2, ..fault("401", unauthorized()) },
    ]
}

impl Asking {
    fn meets(&self, stack: &Stack, path: &str) {
        let rule = Rule::new(self.effect.clone()).repository(path).operation(Operation::Status);
        stack.registry().unwrap().rules().add(rule.times(self.times));
    }
}

/// Nobody but the calls under test starts anything.
async fn stack() -> Stack {
    let functions = vec![
        Function::StartMigration,
        Function::RegistryNotification,
        Function::ManageMigrations,
        Function::GuardMigrations,
    ];
    stack_of(4, functions).await
}

async fn started(stack: &Stack, path: &str) {
    repositories(stack, &[path]).await.unwrap();
    assert_eq!(stack.client().start(path).await.unwrap().status(), 202, "{path}");
}

/// The rules that are still in force: faults nobody has met.
fn unmet(stack: &Stack) -> usize {
    stack.registry().unwrap().rules().list().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn guard_leaves_and_revisits_what_the_registry_keeps_silent() {
    let stack = stack().await;
    let registry = stack.registry().unwrap();
    let faults = faults();
    for fault in &faults {
        let lost = Rule::new(Effect::LoseNotification).repository(fault.name).step(Step::Pre).times(1);
        registry.rules().add(lost);
        started(&stack, fault.name).await;
        assert!(registry.wait_for_status(fault.name, Status::PreImportComplete, PATIENCE).await);
    }
    assert_eq!(unmet(&stack), 0);
    faults.iter().for_each(|fault| fault.meets(&stack, fault.name));

    let summary = guarded_later(&stack, 6).await;

    assert_eq!(unmet(&stack), 0, "every fault was met: {summary}");
    let silent = faults.iter().filter(|fault| !fault.answered).count();
    assert_eq!(
        (&summary["unanswered"], &summary["found"]),
        (&json!(silent), &json!({"promoted": faults.len() - silent})),
        "{summary}"
    );
    for fault in faults.iter().filter(|fault| !fault.answered) {
        let row = row(&stack, fault.name).await.unwrap();
        assert_eq!((&row["migration_state"], suite::changes(&row)), (&json!("pre_importing"), 1), "{row}");
    }
    assert_eq!(guarded_later(&stack, 6).await["found"], json!({"promoted": silent}));
    for fault in &faults {
        is_migrated_by(&stack, fault.name, &WHOLE).await;
        assert_eq!(asked_for(&stack, fault.name, Operation::Start), 2, "{}", fault.name);
    }
    nothing_is_left(stack).await;
}

/// The row stops, for nothing that the repository did, while the registry goes on.
async fn aborted(stack: &Stack, path: &str) {
    let stop = "WITH stopped AS (
            UPDATE container_repositories AS c SET
                migration_state = 'import_aborted', aborted_at = now(), aborted_in_state = c.migration_state,
                slot = NULL, resume_state = NULL, version = version + 1
            WHERE path = $1 RETURNING c.*
        ), freed AS (
            UPDATE migration_slots SET repository_id = NULL WHERE repository_id = (SELECT id FROM stopped)
        )
        INSERT INTO migration_transitions (repository_id, version, event, from_state, to_state, cause, attempt)
        SELECT id, version, 'abort_import_uncounted', aborted_in_state, migration_state, 'test', attempt FROM stopped";
    primary(stack).await.unwrap().execute(stop, &[&path]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_adopts_a_running_step_of_a_silent_registry() {
    let stack = stack().await;
    let registry = stack.registry().unwrap();
    let faults = faults();
    let hold = registry.rules().add(Rule::new(Effect::Hold { at: Point::Work }).step(Step::Pre));
    let mut first = Vec::new();
    for fault in &faults {
        started(&stack, fault.name).await;
        first.push(attempt(&stack, fault.name).await);
        aborted(&stack, fault.name).await;
        fault.meets(&stack, fault.name);
    }

    let retries = stream::iter(faults.iter().zip(&first)).for_each_concurrent(4, async |(fault, first)| {
        let path = fault.name;
        let began = Instant::now();
        let retry = stack.client().as_operator(Method::POST, &format!("/migrations/retry/{path}"));
        let answer = retry.send().await.unwrap();
        let took = began.elapsed();
        assert!(took < BUDGET + MARGIN, "{path}: {took:?}");
        let status = answer.status();
        let reply: Value = answer.json().await.unwrap();
        assert_eq!((status.as_u16(), &reply["standing"]), (202, &json!("running")), "{path}: {reply}");
        assert_eq!(reply["attempt"].as_str(), first.as_deref(), "{path}: the one that runs");
        // Where the registry did not say, its answer to the start did: what runs is not begun again.
        let starts = if fault.answered { 1 } else { 2 };
        assert_eq!(asked_for(&stack, path, Operation::Start), starts, "{path}");
    });
    retries.await;

    assert_eq!(unmet(&stack), 1, "every fault was met; what holds the imports is left");
    registry.rules().remove(hold);
    for fault in &faults {
        let adopted = [
            WHOLE[0],
            "abort_import_uncounted pre_importing>import_aborted",
            "retry_pre_import import_aborted>pre_importing",
            "adopt_pre_import pre_importing>pre_importing",
            WHOLE[1],
            WHOLE[2],
            WHOLE[3],
        ];
        is_migrated_by(&stack, fault.name, &adopted).await;
    }
    nothing_is_left(stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn explains_in_time_that_the_registry_is_silent() {
    let stack = stack().await;
    let registry = stack.registry().unwrap();
    let faults = faults();
    let hold = registry.rules().add(Rule::new(Effect::Hold { at: Point::Work }).step(Step::Pre));
    started(&stack, "group/image").await;
    let before = row(&stack, "group/image").await.unwrap();
    for fault in &faults {
        fault.meets(&stack, "group/image");
        let began = Instant::now();
        let explain = stack.client().as_operator(Method::GET, "/migrations/explain/group/image");
        let answer = explain.send().await.unwrap();
        assert!(began.elapsed() < BUDGET + MARGIN, "{}", fault.name);
        let status = answer.status();
        let reply: Value = answer.json().await.unwrap();
        assert_eq!((status.as_u16(), unmet(&stack)), (200, 1), "{}: {reply}", fault.name);
        let stands = if fault.answered { json!("pre_import_in_progress") } else { Value::Null };
        assert_eq!(
            (&reply["registry"]["answered"], &reply["registry"]["status"]),
            (&json!(fault.answered), &stands),
            "{}",
            fault.name
        );
        assert_eq!(reply["expected"]["next"], "notification", "{}: {reply}", fault.name);
    }
    assert_eq!(row(&stack, "group/image").await.unwrap(), before);
    registry.rules().remove(hold);
    is_migrated_by(&stack, "group/image", &WHOLE).await;
    nothing_is_left(stack).await;
}
