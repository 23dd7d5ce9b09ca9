//! enqueue-migrations killed at each step: of a first start, of a retry, and of a parked repository's going on.

use local::{
    Function, Stack,
    local_registry::{Effect, Operation, Point, Rule, Step},
};
use suite::{sql, until_state};

use super::{
    BEGUN_AGAIN, RETRIED, WHOLE, failed_once, is_migrated,
    kill::{Case, Stop, Trigger, killed_at_each, statement},
    nothing_is_held, schedules_run_until_the_end, stack, started, time_passes,
};

async fn killed(stack: &Stack, path: &str, stop: Stop, expected: &[&str], retries: i64) {
    let case = Case { function: Function::EnqueueMigrations, path, stop, trigger: Trigger::Schedule };
    case.kill(stack).await;
    schedules_run_until_the_end(stack).await;
    is_migrated(stack, path, expected, retries).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_is_killed_at_any_step_has_begun_nothing_twice() {
    let stack = stack(1).await;
    let stops: [(Stop, &[&str]); 4] = [
        (Stop::BeforeStatement(statement::CLAIM), &WHOLE),
        (Stop::AfterStatement(statement::CLAIM), &BEGUN_AGAIN),
        (Stop::BeforeCall(Operation::Start, Some(Step::Pre)), &BEGUN_AGAIN),
        (Stop::AfterStart(Step::Pre), &WHOLE),
    ];
    killed_at_each(&stack, Function::EnqueueMigrations, Trigger::Schedule, &stops).await;

    for (path, stop) in [
        ("retry/not-claimed", Stop::BeforeStatement(statement::CLAIM)),
        ("retry/claimed", Stop::AfterStatement(statement::CLAIM)),
        ("retry/status", Stop::BeforeCall(Operation::Status, None)),
        ("retry/not-begun", Stop::BeforeCall(Operation::Start, Some(Step::Pre))),
        ("retry/begun", Stop::AfterStart(Step::Pre)),
    ] {
        failed_once(&stack, path, Step::Pre).await;
        time_passes(&stack).await;
        killed(&stack, path, stop, &RETRIED, 1).await;
    }

    for (path, stop) in [
        ("parked/not-taken", Stop::BeforeStatement(statement::RESUME)),
        ("parked/taken", Stop::AfterStatement(statement::RESUME)),
        ("parked/not-begun", Stop::BeforeCall(Operation::Start, Some(Step::Final))),
        ("parked/begun", Stop::AfterStart(Step::Final)),
    ] {
        let rules = stack.registry().unwrap().rules();
        let held = rules.add(Rule::new(Effect::Hold { at: Point::Work }).repository(path).times(1));
        started(&stack, &[path]).await;
        sql(&stack, "UPDATE migration_settings SET enabled = false").await.unwrap();
        assert!(rules.remove(held));
        until_state(&stack, path, "pre_import_done").await.unwrap();
        sql(&stack, "UPDATE migration_settings SET enabled = true").await.unwrap();
        killed(&stack, path, stop, &WHOLE, 0).await;
    }
    nothing_is_held(&stack).await;
    stack.stop().await.unwrap();
}
