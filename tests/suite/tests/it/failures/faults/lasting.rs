//! Faults of the Data API that last longer than a caller may wait.

use std::{sync::Arc, time::Instant};

use futures::future::join_all;
use local::{
    Stack, WRITER_ARN,
    local_data_api::{Effect, ErrorCode, Fault, When},
};
use suite::{repositories, row, sql, until};

use super::{
    BEGUN_AGAIN, BUDGET, Call, INVOCATION, MARGIN, WHOLE, attempt, is_migrated_by, nothing_is_left,
    schedules_run, stack, transitions,
};

/// Two sweeps whose claims hang, one before and one after it ran. They are sent again until the fault is gone.
async fn hanging_sweeps(stack: Arc<Stack>) {
    let began = Instant::now();
    let sweeps = join_all([Call::Sweep; 2].map(|call| call.make(&stack, "", None))).await;
    assert!(sweeps.iter().all(|answer| answer.status == 200), "{sweeps:?}");
    assert!(began.elapsed() < INVOCATION + MARGIN, "{sweeps:?}");
}

async fn in_state(stack: &Stack, paths: &[&str], state: &str) -> usize {
    let mut count = 0;
    for path in paths {
        count += usize::from(row(stack, path).await.unwrap()["migration_state"] == state);
    }
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_in_time_during_a_fault_and_goes_on_after_it() {
    let stack = Arc::new(stack(2).await);
    let swept = ["sweep/one", "sweep/other"];
    repositories(&stack, &swept).await.unwrap();
    // Of the claim alone: a start takes a slot in the same way.
    let claim =
        |when| Fault::new(Effect::Hang { when }).on(WRITER_ARN).sql_contains("shortlist AS MATERIALIZED");
    stack.data_api().inject(claim(When::After).times(1));
    stack.data_api().inject(claim(When::Before));
    let sweeps = tokio::spawn(hanging_sweeps(Arc::clone(&stack)));
    let hanging = || async {
        let journal = stack.data_api().journal();
        Ok(journal.iter().filter(|call| call.outcome.as_ref().is_some_and(|outcome| outcome.fault)).count()
            >= 2)
    };
    until("both claims hang", hanging).await.unwrap();
    assert_eq!(in_state(&stack, &swept, "pre_importing").await, 1, "one claim ran, the other did not");
    // From here on only the calls under test start anything.
    sql(&stack, "UPDATE migration_settings SET created_before = '2000-01-01'").await.unwrap();

    let mut stopped = Vec::new();
    for (name, ran, effect) in [
        ("resuming", false, Effect::Error { code: ErrorCode::DatabaseResumingException, when: When::Before }),
        ("503 after", true, Effect::Error { code: ErrorCode::ServiceUnavailableError, when: When::After }),
        ("hanging before", false, Effect::Hang { when: When::Before }),
        ("hanging after", true, Effect::Hang { when: When::After }),
    ] {
        let calls = [Call::Notification, Call::Start, Call::Status];
        let mut known = Vec::new();
        for call in calls {
            let path = call.path(name);
            call.prepare(&stack, &path).await;
            known.push((call, attempt(&stack, &path).await, path));
        }
        for call in calls {
            stack.data_api().inject(call.aims(Fault::new(effect.clone())));
        }
        let answers =
            join_all(known.iter().map(|(call, attempt, path)| call.make(&stack, path, attempt.as_deref())));
        let answers = answers.await;
        stack.data_api().clear_faults();
        for ((call, attempt, path), answer) in known.into_iter().zip(answers) {
            // What is read has the writer to fall back on.
            let expected = if call == Call::Status { (200, false) } else { (503, true) };
            assert_eq!((answer.status, answer.retry_after), expected, "{path}: {answer:?}");
            assert!(answer.took < BUDGET + MARGIN, "{path}: {answer:?}");
            let made = match call {
                Call::Notification => 1 + if ran { 2 } else { 0 },
                Call::Start => usize::from(ran),
                Call::Sweep | Call::Status => 0,
            };
            assert_eq!(transitions(&stack, &path).await, WHOLE[..made], "{path}: however often it was sent");
            stopped.push((call, attempt, path, ran));
        }
    }
    sweeps.await.unwrap();

    for (call, attempt, path, ran) in &stopped {
        let again = call.make(&stack, path, attempt.as_deref()).await;
        let expected = if *call == Call::Start && *ran { 409 } else { call.success() };
        assert_eq!(again.status, expected, "{path}");
    }
    sql(&stack, "UPDATE migration_settings SET created_before = NULL").await.unwrap();
    schedules_run(&stack).await;
    for (call, _, path, ran) in &stopped {
        let begun_again = *call == Call::Start && *ran;
        is_migrated_by(&stack, path, if begun_again { &BEGUN_AGAIN } else { &WHOLE }).await;
    }
    for path in swept {
        is_migrated_by(&stack, path, &WHOLE).await;
    }
    nothing_is_left(Arc::into_inner(stack).unwrap()).await;
}
