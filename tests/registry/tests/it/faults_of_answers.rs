//! Faults of what a call is answered with.

use std::time::Duration;

use local_registry::{Effect, Operation, Rule, Status, Step, When};
use tokio::time::Instant;

use crate::bench::{AT_MOST, Bench, IMAGE};

fn answer(status: u16, code: Option<&str>, when: When) -> Effect {
    Effect::Answer { status, code: code.map(str::to_owned), detail: None, body: None, when }
}

#[tokio::test]
async fn answers_any_call_with_any_status_a_number_of_times() {
    for (status, code) in [
        (500, "UNKNOWN"),
        (503, "UNAVAILABLE"),
        (401, "UNAUTHORIZED"),
        (429, "IMPORT_REPOSITORY_NOT_READY"),
        (418, "ANYTHING"),
    ] {
        let bench = Bench::new().await;
        bench.registry.rules().add(Rule::new(answer(status, Some(code), When::Before)).times(2));
        bench.start(IMAGE, "pre").await.is_error(status, code);
        bench.status(IMAGE).await.is_error(status, code);
        bench.status(IMAGE).await.is(404);
        let journal = bench.registry.journal().requests();
        assert_eq!((journal[0].answered, journal[0].error_code.as_deref()), (Some(status), Some(code)));
    }
}

#[tokio::test]
async fn a_fault_stays_with_its_repository_its_step_and_its_call() {
    let bench = Bench::new().await;
    let rule = Rule::new(answer(500, Some("UNKNOWN"), When::Before));
    bench.registry.rules().add(rule.repository(IMAGE).step(Step::Final).operation(Operation::Start));
    bench.start("not/there", "final").await.is(404);
    bench.run(IMAGE, "pre").await;
    bench.status(IMAGE).await.is(200);
    bench.get("/gitlab/v1/").await.is(200);
    for _ in 0..2 {
        bench.start(IMAGE, "final").await.is_error(500, "UNKNOWN");
    }
    bench.registry.rules().clear();
    bench.run(IMAGE, "final").await;
}

#[tokio::test]
async fn a_start_can_do_its_work_and_be_answered_with_an_error() {
    let bench = Bench::new().await;
    bench.registry.rules().add(Rule::new(answer(502, None, When::After)).times(1));
    let lost = bench.start(IMAGE, "pre").await;
    lost.is(502);
    assert_eq!(lost.text, "");
    bench.receiver.wait_for(1).await;
    bench.reaches(IMAGE, Status::PreImportComplete).await;
}

#[tokio::test]
async fn a_body_can_be_broken() {
    let bench = Bench::new().await;
    let broken = Effect::Answer {
        status: 429,
        code: None,
        detail: None,
        body: Some("{\"errors\":[{\"code\":".to_owned()),
        when: When::Before,
    };
    bench.registry.rules().add(Rule::new(broken));
    let answer = bench.start(IMAGE, "pre").await;
    answer.is(429);
    assert_eq!(answer.text, "{\"errors\":[{\"code\":");
}

#[tokio::test]
async fn a_detail_can_be_put_into_an_error() {
    let bench = Bench::new().await;
    let detail = format!("repository path {IMAGE} previous migration status: import_complete");
    let effect = Effect::Answer {
        status: 400,
        code: Some("IMPORT_CANNOT_BE_CANCELED".to_owned()),
        detail: Some(detail.clone()),
        body: None,
        when: When::Before,
    };
    bench.registry.rules().add(Rule::new(effect).operation(Operation::Cancel));
    assert_eq!(bench.cancel(IMAGE, "").await.json()["errors"][0]["detail"], detail);
}

#[tokio::test]
async fn a_call_can_hang_before_or_after_its_work() {
    for (when, begun) in [(When::Before, false), (When::After, true)] {
        let bench = Bench::new().await;
        let hang = Effect::Hang { milliseconds: 3_600_000, when };
        bench.registry.rules().add(Rule::new(hang).operation(Operation::Start).times(1));
        let journal = bench.registry.journal();
        let arrived = async {
            assert!(journal.wait_until(AT_MOST, |journal| journal.requests().len() == 1).await);
            if begun {
                bench.reaches(IMAGE, Status::PreImportComplete).await;
            }
        };
        tokio::select! {
            answered = bench.start(IMAGE, "pre") => panic!("{answered:?}"),
            () = arrived => {}
        }
        // The client has gone away, and the journal shows a call without an answer.
        assert!(journal.wait_until(AT_MOST, |journal| journal.requests()[0].ended.is_some()).await);
        assert_eq!(journal.requests()[0].answered, None);
        assert_eq!(bench.registry.report(IMAGE).is_some(), begun);
    }
}

#[tokio::test]
async fn a_call_that_hangs_for_a_while_is_answered_after_it() {
    let bench = Bench::new().await;
    let hang = Effect::Hang { milliseconds: 200, when: When::Before };
    bench.registry.rules().add(Rule::new(hang).times(1));
    let begun = Instant::now();
    bench.start(IMAGE, "pre").await.is(202);
    assert!(begun.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_connection_can_be_cut_before_or_after_the_work() {
    for (when, begun) in [(When::Before, false), (When::After, true)] {
        let bench = Bench::new().await;
        bench.registry.rules().add(Rule::new(Effect::Cut { when }).times(1));
        let error = bench.start_call(IMAGE, "pre", "the-attempt").send().await.unwrap_err();
        assert!(!error.is_timeout() && !error.is_connect(), "{error:?}");
        assert_eq!(bench.registry.report(IMAGE).is_some(), begun);
        assert_eq!(bench.registry.journal().requests()[0].answered, None);
    }
}
