//! Notifications lost, doubled, late, and in another order than they were sent for.

use local::{
    Stack,
    local_registry::{Delivery, Effect, Point, Rule, RuleId, Status, Step},
};
use suite::{PATIENCE, history, repositories, state, until_state};

use super::{
    WHOLE, failed_once, guard, is_migrated, nothing_is_held, quiet, schedules_run_until_the_end, stack,
    started, transitions,
};

const STEPS: [Step; 2] = [Step::Pre, Step::Final];

fn paths(kind: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{kind}/image{number}")).collect()
}

/// Registers repositories and lets the schedule start them.
async fn all_started(stack: &Stack, paths: &[String]) {
    repositories(stack, &paths.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    stack.functions().tick().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn survives_lost_and_doubled_notifications_without_retries() {
    let stack = stack(2).await;
    let registry = stack.registry().unwrap();
    let lost =
        || registry.journal().notifications().iter().filter(|sent| sent.outcome == Delivery::NotSent).count();

    let all = paths("all-lost", 6);
    registry.rules().add(Rule::new(Effect::LoseNotification));
    all_started(&stack, &all).await;
    schedules_run_until_the_end(&stack).await;
    assert_eq!(lost(), 2 * all.len());
    registry.rules().clear();

    let some = paths("third-lost", 9);
    let imports = some.iter().flat_map(|path| STEPS.map(|step| (path, step)));
    for (path, step) in imports.step_by(3) {
        registry.rules().add(Rule::new(Effect::LoseNotification).repository(path).step(step).times(1));
    }
    let before = lost();
    all_started(&stack, &some).await;
    schedules_run_until_the_end(&stack).await;
    assert_eq!(lost() - before, 2 * some.len() / 3);
    assert!(registry.rules().list().is_empty(), "every rule was met");

    let before = registry.journal().notifications().len();
    let doubled = paths("doubled", 6);
    for (number, path) in doubled.iter().enumerate() {
        let effect = Effect::RepeatNotification { extra: 1, concurrently: number % 2 == 0 };
        registry.rules().add(Rule::new(effect).repository(path));
    }
    all_started(&stack, &doubled).await;
    for path in &doubled {
        until_state(&stack, path, "import_done").await.unwrap();
    }
    quiet(&stack, before).await;
    let sent = registry.journal().notifications().split_off(before);
    assert_eq!(sent.len(), 4 * doubled.len());
    assert!(sent.iter().all(|sent| sent.is_accepted()), "{sent:?}");

    for path in [all, some, doubled].iter().flatten() {
        is_migrated(&stack, path, &WHOLE, 0).await;
    }
    nothing_is_held(&stack).await;
    stack.stop().await.unwrap();
}

/// The next import of this step is stopped at `at`, until the rule is removed.
fn hold(stack: &Stack, path: &str, step: Step, at: Point) -> RuleId {
    let rule = Rule::new(Effect::Hold { at }).repository(path).step(step).times(1);
    stack.registry().unwrap().rules().add(rule)
}

/// Lets the notification that is held back go out, and waits for its answer.
async fn tell(stack: &Stack, path: &str, held: RuleId, status: Status) {
    let registry = stack.registry().unwrap();
    assert!(registry.rules().remove(held));
    let notified = registry.journal().wait_until(PATIENCE, |journal| {
        let sent = journal.notifications();
        sent.iter().any(|sent| sent.report.path == path && sent.report.status == status && sent.is_accepted())
    });
    assert!(notified.await, "{path}: {:?}", registry.journal().notifications());
}

async fn ignored(stack: &Stack, path: &str) -> Vec<String> {
    let history = history(stack, path).await.unwrap();
    history.into_iter().filter(|line| line.ends_with("(earlier_attempt)")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn ignores_notifications_of_earlier_attempts() {
    let stack = stack(1).await;
    successes_told_late(&stack).await;
    failures_told_late_are_counted_once(&stack).await;
    failures_told_and_found_once_more_are_counted_once(&stack).await;
    nothing_is_held(&stack).await;
    stack.stop().await.unwrap();
}

async fn successes_told_late(stack: &Stack) {
    let registry = stack.registry().unwrap();
    let [late, reordered] = ["late/success", "reordered/success"];
    let told_late = hold(stack, late, Step::Pre, Point::Notification);
    let told_last = hold(stack, reordered, Step::Pre, Point::Notification);
    let work = hold(stack, late, Step::Final, Point::Work);
    started(stack, &[late, reordered]).await;
    for path in [late, reordered] {
        assert!(registry.wait_for_status(path, Status::PreImportComplete, PATIENCE).await);
    }
    assert_eq!(guard(stack).await["found"]["promoted"], 2);
    until_state(stack, reordered, "import_done").await.unwrap();

    tell(stack, late, told_late, Status::PreImportComplete).await;
    assert_eq!(state(stack, late).await.unwrap(), "importing");
    tell(stack, reordered, told_last, Status::PreImportComplete).await;
    assert!(registry.rules().remove(work));
    until_state(stack, late, "import_done").await.unwrap();

    for (path, from) in [(late, "importing"), (reordered, "import_done")] {
        is_migrated(stack, path, &WHOLE, 0).await;
        let line = format!("pre_import_complete {from}>{from} (earlier_attempt)");
        assert_eq!(ignored(stack, path).await, [line]);
    }
}

async fn failures_told_late_are_counted_once(stack: &Stack) {
    let registry = stack.registry().unwrap();
    for (path, step, status) in [
        ("late/pre", Step::Pre, Status::PreImportFailed),
        ("late/final", Step::Final, Status::ImportFailed),
        ("reordered/pre", Step::Pre, Status::PreImportFailed),
        ("reordered/final", Step::Final, Status::ImportFailed),
    ] {
        let notified = hold(stack, path, step, Point::Notification);
        let fail = Effect::Fail { error: "blob unknown".to_owned() };
        registry.rules().add(Rule::new(fail).repository(path).step(step).times(1));
        started(stack, &[path]).await;
        assert!(registry.wait_for_status(path, status, PATIENCE).await, "{path}");
        let work = path.starts_with("late").then(|| hold(stack, path, step, Point::Work));
        // The slot that the guard frees goes to the same repository, which is due at once.
        let round = guard(stack).await;
        assert_eq!((&round["found"]["failed"], &round["filled"]), (&1.into(), &1.into()), "{path}: {round}");
        if work.is_none() {
            until_state(stack, path, "import_done").await.unwrap();
        }
        tell(stack, path, notified, status).await;
        if let Some(work) = work {
            assert!(registry.rules().remove(work));
        }
        until_state(stack, path, "import_done").await.unwrap();

        let pre = ["start_pre_import default>pre_importing", "abort_import pre_importing>import_aborted"];
        let again = ["retry_pre_import import_aborted>pre_importing"];
        let expected = match step {
            Step::Pre => [&pre[..], &again, &WHOLE[1..]].concat(),
            Step::Final => [
                &WHOLE[..3],
                &["abort_import importing>import_aborted", "retry_import import_aborted>importing"],
                &WHOLE[3..],
            ]
            .concat(),
        };
        is_migrated(stack, path, &expected, 1).await;
        assert_eq!(ignored(stack, path).await.len(), 1, "{path}: {:?}", transitions(stack, path).await);
    }
}

async fn failures_told_and_found_once_more_are_counted_once(stack: &Stack) {
    // What is retried is not heard of by the registry, which goes on telling of the failure before.
    let never_arrives = Effect::Cut { when: local::local_registry::When::Before };
    for (path, step) in [("found/pre", Step::Pre), ("found/final", Step::Final)] {
        failed_once(stack, path, step).await;
        let rule = super::start_of(Rule::new(never_arrives.clone()), path, step).times(1);
        stack.registry().unwrap().rules().add(rule);
        schedules_run_until_the_end(stack).await;
        assert_eq!(suite::row(stack, path).await.unwrap()["retries_count"], 1, "{path}");
        assert_eq!(state(stack, path).await.unwrap(), "import_done", "{path}");
    }
}
