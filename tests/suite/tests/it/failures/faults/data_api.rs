//! Faults of the Data API that pass, and those that are refusals.

use std::time::Duration;

use local::{
    Stack,
    local_data_api::{Effect, ErrorCode, Fault, When},
};
use suite::{row, until_state};

use super::{
    Answer, BEGUN_AGAIN, BUDGET, Call, MARGIN, WHOLE, attempt, guarded_later, is_migrated_by,
    nothing_is_left, stack,
};

fn error(code: ErrorCode, when: When) -> Effect {
    Effect::Error { code, when }
}

/// Makes a call that meets a fault. The work that follows the last notification's answer is over by then: the
/// slot that was freed with it must not go to this repository, nor meet its fault.
async fn under(stack: &Stack, fault: Fault, met: usize, call: Call, path: &str) -> Answer {
    worked_off(stack).await;
    call.prepare(stack, path).await;
    let attempt = attempt(stack, path).await;
    stack.data_api().clear_journal();
    stack.data_api().inject(call.aims(fault));
    let answer = call.make(stack, path, attempt.as_deref()).await;
    stack.data_api().clear_faults();
    assert!(answer.took < BUDGET + MARGIN, "{path}: {answer:?}");
    let journal = stack.data_api().journal();
    let faults = journal.iter().filter_map(|call| call.outcome.as_ref()).filter(|outcome| outcome.fault);
    assert_eq!(faults.count(), met, "{path}: every fault was met");
    answer
}

/// Waits until the one process for notifications asks for its next event, which it does once all that followed
/// the last one is done.
async fn worked_off(stack: &Stack) {
    let refused = stack.client().notify("of/nobody", "none of the six", None).await.unwrap();
    assert_eq!(refused.status(), 400);
}

/// Lets what a schedule does happen: one sweep, and a round of the guard once all that goes on by itself has ended. A
/// guard that is early would only ask the registry beside the work that follows a notification.
async fn schedules_run(stack: &Stack) {
    stack.functions().tick().await.unwrap();
    for _ in 0..2 {
        assert!(stack.registry().unwrap().wait_until_idle(Duration::from_secs(20)).await);
        worked_off(stack).await;
    }
    guarded_later(stack, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hides_passing_faults_and_applies_nothing_twice() {
    use ErrorCode::{
        DatabaseResumingException, DatabaseUnavailableException, InternalServerErrorException,
        InvalidResourceStateException, SecretsErrorException, ServiceUnavailableError,
        StatementTimeoutException, ThrottlingException,
    };
    let stack = stack(1).await;
    for (name, times, effect) in [
        ("resuming", 2, error(DatabaseResumingException, When::Before)),
        ("throttled", 2, error(ThrottlingException, When::Before)),
        ("secret unread", 2, error(SecretsErrorException, When::Before)),
        ("not ready", 1, error(InvalidResourceStateException, When::Before)),
        ("500 before", 1, error(InternalServerErrorException, When::Before)),
        ("500 after", 1, error(InternalServerErrorException, When::After)),
        ("503 before", 1, error(ServiceUnavailableError, When::Before)),
        ("503 after", 1, error(ServiceUnavailableError, When::After)),
        ("504 before", 1, error(DatabaseUnavailableException, When::Before)),
        ("504 after", 1, error(DatabaseUnavailableException, When::After)),
        ("timeout after", 1, error(StatementTimeoutException, When::After)),
        ("foreign 502 before", 1, Effect::Status { status: 502, when: When::Before }),
        ("foreign 502 after", 1, Effect::Status { status: 502, when: When::After }),
        ("cut before", 1, Effect::Cut { when: When::Before }),
        ("cut after", 1, Effect::Cut { when: When::After }),
        ("half an answer", 1, Effect::HalfAnswer),
        ("slow", 1, Effect::Slow { milliseconds: 1000 }),
    ] {
        for call in Call::ALL {
            let path = call.path(name);
            let fault = Fault::new(effect.clone()).times(times);
            let answer = under(&stack, fault, times as usize, call, &path).await;
            assert_eq!(answer.status, call.success(), "{path}: {answer:?}");
            if call == Call::Status {
                schedules_run(&stack).await;
            }
            is_migrated_by(&stack, &path, &WHOLE).await;
        }
    }
    nothing_is_left(stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_500_while_the_data_api_refuses() {
    use ErrorCode::{
        AccessDeniedException, DatabaseNotFoundException, HttpEndpointNotEnabledException,
        ValidationException,
    };
    let stack = stack(1).await;
    for (name, effect) in [
        ("wrong secret", Effect::WrongSecret),
        ("denied", error(AccessDeniedException, When::Before)),
        ("no database", error(DatabaseNotFoundException, When::Before)),
        ("no endpoint", error(HttpEndpointNotEnabledException, When::Before)),
        ("invalid", error(ValidationException, When::Before)),
    ] {
        for call in Call::ALL {
            let path = call.path(name);
            let answer = under(&stack, Fault::new(effect.clone()).times(1), 1, call, &path).await;
            assert_eq!((answer.status, answer.retry_after), (500, false), "{path}");
            let untouched = if call == Call::Notification { "pre_importing" } else { "default" };
            assert_eq!(row(&stack, &path).await.unwrap()["migration_state"], untouched, "{path}");

            let attempt = attempt(&stack, &path).await;
            let again = call.make(&stack, &path, attempt.as_deref()).await;
            assert_eq!(again.status, call.success(), "{path}");
            if call == Call::Status {
                schedules_run(&stack).await;
            }
            is_migrated_by(&stack, &path, &WHOLE).await;
        }
    }
    nothing_is_left(stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guard_finishes_what_ran_and_was_answered_500() {
    let stack = stack(1).await;
    for (call, ran, again, expected) in [
        // The attempt that the notification names is over for the driver.
        (Call::Notification, "importing", 200, &WHOLE[..]),
        // It has been started; nobody has asked the registry.
        (Call::Start, "pre_importing", 409, &BEGUN_AGAIN[..]),
        (Call::Sweep, "pre_importing", 200, &BEGUN_AGAIN[..]),
        (Call::Status, "default", 200, &WHOLE[..]),
    ] {
        let path = call.path("oversized");
        let answer = under(&stack, Fault::new(Effect::Oversized).times(1), 1, call, &path).await;
        assert_eq!((answer.status, answer.retry_after), (500, false), "{path}");
        until_state(&stack, &path, ran).await.unwrap();

        let known = attempt(&stack, &path).await;
        assert_eq!(call.make(&stack, &path, known.as_deref()).await.status, again, "{path}");
        schedules_run(&stack).await;
        is_migrated_by(&stack, &path, expected).await;
    }
    nothing_is_left(stack).await;
}
