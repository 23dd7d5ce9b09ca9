//! registry-notification killed at each step: before and after its answer.

use local::{
    Function, Stack,
    local_registry::{Effect, Operation, Point, Rule, RuleId, Step},
};
use suite::{repositories, state, until_state};

use super::{
    BEGUN_AGAIN, WHOLE, is_migrated,
    kill::{Case, Stop, Trigger, statement},
    nothing_is_held, running, schedules_run_until_the_end, stack, started,
};

/// Has the repository started, and `step` held back until the rule is removed.
async fn held_in(stack: &Stack, path: &str, step: Step) -> RuleId {
    let hold = Rule::new(Effect::Hold { at: Point::Work }).repository(path).step(step).times(1);
    let held = stack.registry().unwrap().rules().add(hold);
    started(stack, &[path]).await;
    until_state(stack, path, running(step)).await.unwrap();
    held
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_one_final_step_after_a_kill_at_any_step() {
    let stack = stack(1).await;
    killed_when_the_pre_step_is_told(&stack).await;
    killed_when_the_final_step_is_told(&stack).await;
    nothing_is_held(&stack).await;
    stack.stop().await.unwrap();
}

async fn killed_when_the_pre_step_is_told(stack: &Stack) {
    let journal = stack.registry().unwrap().journal();
    for (path, stop, accepted) in [
        ("pre/before-the-statement", Stop::BeforeStatement(statement::CHANGE), false),
        ("pre/after-the-commit", Stop::AfterStatement(statement::CHANGE), false),
        ("pre/after-the-answer", Stop::BeforeCall(Operation::Start, Some(Step::Final)), true),
        ("pre/after-the-call", Stop::AfterStart(Step::Final), true),
    ] {
        let trigger = Trigger::Release(held_in(stack, path, Step::Pre).await);
        Case { function: Function::RegistryNotification, path, stop, trigger }.kill(stack).await;
        schedules_run_until_the_end(stack).await;
        is_migrated(stack, path, &WHOLE, 0).await;
        let sent = journal.notifications();
        let first = sent.iter().find(|sent| sent.report.path == path).unwrap();
        assert_eq!(first.is_accepted(), accepted, "{path}: {:?}", first.outcome);
        let finals = journal.requests().into_iter().filter(|request| {
            request.path.as_deref() == Some(path)
                && request.step == Some(Step::Final)
                && request.answered == Some(202)
        });
        assert!(finals.count() <= 1, "{path}");
    }
}

/// The slot that was freed is filled all the same.
async fn killed_when_the_final_step_is_told(stack: &Stack) {
    for (name, stop, next_is, expected) in [
        ("before-the-statement", Stop::BeforeStatement(statement::CHANGE), "default", &WHOLE[..]),
        ("after-the-commit", Stop::AfterStatement(statement::CHANGE), "default", &WHOLE),
        ("after-the-answer", Stop::BeforeStatement(statement::CLAIM), "default", &WHOLE),
        ("after-the-claim", Stop::AfterStatement(statement::CLAIM), "pre_importing", &BEGUN_AGAIN),
        (
            "before-the-call",
            Stop::BeforeCall(Operation::Start, Some(Step::Pre)),
            "pre_importing",
            &BEGUN_AGAIN,
        ),
    ] {
        let (path, next) = (format!("final/{name}"), format!("next/{name}"));
        let stopped_at = if matches!(stop, Stop::BeforeCall(..)) { &next } else { &path };
        let trigger = Trigger::Release(held_in(stack, &path, Step::Final).await);
        repositories(stack, &[&next]).await.unwrap();
        let case = Case { function: Function::RegistryNotification, path: stopped_at, stop, trigger };
        case.kill(stack).await;
        assert_eq!(state(stack, &next).await.unwrap(), next_is, "{name}");
        schedules_run_until_the_end(stack).await;
        is_migrated(stack, &path, &WHOLE, 0).await;
        is_migrated(stack, &next, expected, 0).await;
    }
}
