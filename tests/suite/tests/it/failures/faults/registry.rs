//! Faults of the registry in its answer to a start.

use std::time::Duration;

use futures::{StreamExt, stream};
use local::{
    Stack,
    local_registry::{Effect, Operation, Rule, Step, When, storage::verify},
};
use suite::{repositories, sql, until, until_state};

use super::{
    BEGUN_AGAIN, BUDGET, Call, MARGIN, WHOLE, attempt, is_migrated_by, nothing_is_left, schedules_run, stack,
    transitions,
};

const HTML: &str = "<html><body><h1>502 Bad Gateway</h1></body></html>";
const HALF: &str = r#"{"errors":[{"code":"IMPORT_IN_PROG"#;

/// Every fault, on either side of the registry's work.
fn faults() -> Vec<(String, Effect, When)> {
    let mut faults = Vec::new();
    for when in [When::Before, When::After] {
        let answer = |status, body: Option<&str>| {
            let body = body.map(str::to_owned);
            Effect::Answer { status, code: None, detail: None, body, when }
        };
        for (name, effect) in [
            ("hanging", Effect::Hang { milliseconds: 60_000, when }),
            ("cut", Effect::Cut { when }),
            ("500 empty", answer(500, None)),
            ("502 page", answer(502, Some(HTML))),
            ("200 page", answer(200, Some(HTML))),
            ("half an answer", answer(409, Some(HALF))),
        ] {
            faults.push((format!("{name} {when:?}"), effect, when));
        }
    }
    faults
}

/// Which step's start a call asks the registry for.
fn step(call: Call) -> Step {
    match call {
        Call::Notification => Step::Final,
        Call::Start | Call::Sweep | Call::Status => Step::Pre,
    }
}

fn faulty(call: Call, path: &str, effect: Effect) -> Rule {
    Rule::new(effect).repository(path).operation(Operation::Start).step(step(call)).times(1)
}

fn asked(stack: &Stack, path: &str, step: Step) -> usize {
    let requests = stack.registry().unwrap().journal().requests();
    let of_it = requests.iter().filter(|request| request.operation == Operation::Start);
    of_it.filter(|request| request.path.as_deref() == Some(path) && request.step == Some(step)).count()
}

/// Whether the registry had finished the final step by the time that it was asked whether a page's 200 is true. It says
/// so then, before the notification does.
async fn is_proven_at_once(stack: &Stack, path: &str, effect: &Effect, when: When) -> bool {
    if when == When::Before || !matches!(effect, Effect::Answer { status: 200, .. }) {
        return false;
    }
    until_state(stack, path, "import_done").await.unwrap();
    verify(&stack.old_storage().unwrap(), &stack.registry().unwrap().new_storage(), path).unwrap();
    let proven = [&WHOLE[..3], &["already_migrated importing>import_done"]].concat();
    transitions(stack, path).await == proven
}

#[tokio::test(flavor = "multi_thread")]
async fn never_aborts_a_start_that_may_have_begun() {
    let stack = stack(2).await;
    let registry = stack.registry().unwrap();
    // Nobody but the calls under test starts anything.
    sql(&stack, "UPDATE migration_settings SET created_before = '2000-01-01'").await.unwrap();
    let mut cases = Vec::new();
    for (name, effect, when) in faults() {
        for call in [Call::Notification, Call::Start, Call::Sweep] {
            cases.push((call, call.path(&name), effect.clone(), when));
        }
    }

    let single = cases.iter().filter(|(call, ..)| *call != Call::Sweep);
    stream::iter(single)
        .for_each_concurrent(2, async |(call, path, effect, _)| {
            call.prepare(&stack, path).await;
            registry.rules().add(faulty(*call, path, effect.clone()));
            let attempt = attempt(&stack, path).await;
            let answer = call.make(&stack, path, attempt.as_deref()).await;
            assert_eq!(answer.status, call.success(), "{path}: {answer:?}");
            assert!(answer.took < BUDGET + MARGIN, "{path}: {answer:?}");
        })
        .await;

    sql(&stack, "UPDATE migration_settings SET created_before = NULL").await.unwrap();
    for (call, path, effect, _) in cases.iter().filter(|(call, ..)| *call == Call::Sweep) {
        registry.rules().add(faulty(*call, path, effect.clone()));
        repositories(&stack, &[path]).await.unwrap();
    }
    // Each sweep ends at the first answer that is none.
    let met = || async {
        let answer = Call::Sweep.make(&stack, "", None).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        Ok(registry.rules().list().is_empty())
    };
    until("every fault was met", met).await.unwrap();
    assert!(registry.wait_until_idle(Duration::from_secs(20)).await);
    for (call, path, _, when) in &cases {
        assert_eq!(asked(&stack, path, step(*call)), 1, "{path}: {when:?}: a start is not sent twice");
    }

    schedules_run(&stack).await;
    for (call, path, effect, when) in &cases {
        let begun_again = *when == When::Before && *call != Call::Notification;
        if !is_proven_at_once(&stack, path, effect, *when).await {
            is_migrated_by(&stack, path, if begun_again { &BEGUN_AGAIN } else { &WHOLE }).await;
        }
        let times = if *when == When::Before { 2 } else { 1 };
        assert_eq!(asked(&stack, path, step(*call)), times, "{path}");
    }
    nothing_is_left(stack).await;
}
