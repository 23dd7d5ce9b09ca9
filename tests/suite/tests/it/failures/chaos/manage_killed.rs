//! manage-migrations killed at each step: of a retry, of a cancelation, and of what makes repositories known. Whoever
//! asked was not answered, and asks again.

use local::{
    Function, Stack,
    local_registry::{Effect, Operation, Point, Rule, Step},
};
use serde_json::{Value, json};
use suite::{push_image, row, until_state};

use super::{
    RETRIED, WHOLE, failed_once, is_migrated,
    kill::{Case, Stop, Trigger, statement},
    nothing_is_held, schedules_run_until_the_end, stack, started, transitions, work_after_answers_is_done,
};

/// Has manage-migrations killed while it does what an operator asks for, and asks for the same again.
async fn killed_and_asked_again(stack: &Stack, path: &str, stop: Stop, trigger: Trigger) -> (u16, Value) {
    Case { function: Function::ManageMigrations, path, stop, trigger }.kill(stack).await;
    ask(stack, path, trigger).await
}

async fn ask(stack: &Stack, path: &str, trigger: Trigger) -> (u16, Value) {
    let answer = trigger.request(stack, path).unwrap().send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_requests_are_atomic_and_retryable() {
    let stack = stack(1).await;
    retries(&stack).await;
    cancelations(&stack).await;
    registrations(&stack).await;
    nothing_is_held(&stack).await;
    stack.stop().await.unwrap();
}

async fn retries(stack: &Stack) {
    for (path, stop, again) in [
        ("retry/not-claimed", Stop::BeforeStatement(statement::START), 202),
        ("retry/claimed", Stop::AfterStatement(statement::START), 409),
        ("retry/status", Stop::BeforeCall(Operation::Status, None), 409),
        ("retry/not-begun", Stop::BeforeCall(Operation::Start, Some(Step::Pre)), 409),
        ("retry/begun", Stop::AfterStart(Step::Pre), 409),
    ] {
        failed_once(stack, path, Step::Pre).await;
        let (status, body) = killed_and_asked_again(stack, path, stop, Trigger::Retry).await;
        assert_eq!(status, again, "{path}: {body}");
        schedules_run_until_the_end(stack).await;
        is_migrated(stack, path, &RETRIED, 1).await;
    }
}

/// Nobody is canceled by half: what the registry canceled is over here too, whoever records it, and is given up for
/// good when the operator asks for that.
async fn cancelations(stack: &Stack) {
    for (path, stop, state) in [
        ("cancel/not-asked-for", Stop::BeforeCall(Operation::Cancel, None), "import_done"),
        ("cancel/canceled", Stop::AfterCancel, "import_aborted"),
        ("cancel/not-recorded", Stop::BeforeStatement(statement::CHANGE), "import_aborted"),
        ("cancel/recorded", Stop::AfterStatement(statement::CHANGE), "import_skipped"),
    ] {
        // What follows the end of the case before would claim this one.
        work_after_answers_is_done(stack).await;
        // Only what manage-migrations does is stopped: the registry tells of the cancelation after it is killed.
        for at in [Point::Work, Point::Notification] {
            stack.registry().unwrap().rules().add(Rule::new(Effect::Hold { at }).repository(path).times(1));
        }
        started(stack, &[path]).await;
        until_state(stack, path, "pre_importing").await.unwrap();
        Case { function: Function::ManageMigrations, path, stop, trigger: Trigger::Cancel }.kill(stack).await;
        until_state(stack, path, state).await.unwrap();
        let (status, body) = ask(stack, path, Trigger::Cancel).await;
        assert_eq!((status, &body["migration_state"]), (409, &json!(state)), "{path}: {body}");
        let expected = match state {
            "import_done" => {
                is_migrated(stack, path, &WHOLE, 0).await;
                continue;
            }
            "import_aborted" => {
                let (status, body) = ask(stack, path, Trigger::Skip).await;
                assert_eq!(status, 200, "{path}: {body}");
                &[
                    "start_pre_import default>pre_importing",
                    "abort_import_uncounted pre_importing>import_aborted",
                    "skip_import import_aborted>import_skipped",
                ][..]
            }
            _ => &["start_pre_import default>pre_importing", "skip_import pre_importing>import_skipped"],
        };
        assert_eq!(transitions(stack, path).await, expected, "{path}");
        assert_eq!(row(stack, path).await.unwrap()["skipped_reason"], json!(4), "{path}");
    }
}

async fn registrations(stack: &Stack) {
    let (before, after) =
        (Stop::BeforeStatement(statement::REGISTER), Stop::AfterStatement(statement::REGISTER));
    let listed = Stop::BeforeStatement(statement::UNREGISTERED);
    for (path, trigger, stop, registered) in [
        ("list/not-registered", Trigger::Register, before, 1),
        ("list/registered", Trigger::Register, after, 0),
        ("catalogue/listed", Trigger::RegisterCatalogue, listed, 1),
        ("catalogue/not-registered", Trigger::RegisterCatalogue, before, 1),
        ("catalogue/registered", Trigger::RegisterCatalogue, after, 0),
    ] {
        push_image(&stack.old_storage().unwrap(), path).unwrap();
        // In migration mode the catalogue lists nothing that has not been migrated.
        stack.registry().unwrap().set_migration_mode(false);
        let (status, body) = killed_and_asked_again(stack, path, stop, trigger).await;
        stack.registry().unwrap().set_migration_mode(true);
        assert_eq!((status, &body["registered"]), (200, &json!(registered)), "{path}: {body}");
        schedules_run_until_the_end(stack).await;
        is_migrated(stack, path, &WHOLE, 0).await;
    }
}
