//! guard-migrations killed at each step: of what a lost notification left undone, and of asking once more.

use local::{
    Function, Stack,
    local_registry::{Effect, Operation, Rule, Status, Step, When},
};
use suite::{PATIENCE, until_state};

use super::{
    WHOLE, is_migrated,
    kill::{Case, Stop, Trigger, statement},
    nothing_is_held, quiet, schedules_run_until_the_end, stack, start_of, started, time_passes,
};

async fn killed(stack: &Stack, path: &str, stop: Stop) {
    time_passes(stack).await;
    let case = Case { function: Function::GuardMigrations, path, stop, trigger: Trigger::Schedule };
    case.kill(stack).await;
    schedules_run_until_the_end(stack).await;
    is_migrated(stack, path, &WHOLE, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_after_a_guard_killed_at_any_step() {
    let stack = stack(1).await;
    let registry = stack.registry().unwrap();
    for (path, stop) in [
        ("lost/not-leased", Stop::BeforeStatement(statement::LEASE)),
        ("lost/leased", Stop::AfterStatement(statement::LEASE)),
        ("lost/status", Stop::BeforeCall(Operation::Status, None)),
        ("lost/not-recorded", Stop::BeforeStatement(statement::CHANGE)),
        ("lost/recorded", Stop::AfterStatement(statement::CHANGE)),
        ("lost/not-begun", Stop::BeforeCall(Operation::Start, Some(Step::Final))),
        ("lost/begun", Stop::AfterStart(Step::Final)),
    ] {
        registry.rules().add(Rule::new(Effect::LoseNotification).repository(path).step(Step::Pre).times(1));
        started(&stack, &[path]).await;
        assert!(registry.wait_for_status(path, Status::PreImportComplete, PATIENCE).await, "{path}");
        killed(&stack, path, stop).await;
    }

    let never_arrives = || {
        Rule::new(Effect::Answer { status: 502, code: None, detail: None, body: None, when: When::Before })
    };
    for (path, stop) in [
        ("again/not-noted", Stop::BeforeStatement(statement::NOTE)),
        ("again/noted", Stop::AfterStatement(statement::NOTE)),
        ("again/not-begun", Stop::BeforeCall(Operation::Start, Some(Step::Final))),
        ("again/begun", Stop::AfterStart(Step::Final)),
    ] {
        registry.rules().add(start_of(never_arrives(), path, Step::Final).times(1));
        started(&stack, &[path]).await;
        until_state(&stack, path, "importing").await.unwrap();
        let asked = || registry.rules().list().is_empty();
        assert!(registry.journal().wait_until(PATIENCE, |_| asked()).await, "{path}");
        quiet(&stack, 0).await;
        killed(&stack, path, stop).await;
    }
    nothing_is_held(&stack).await;
    stack.stop().await.unwrap();
}
