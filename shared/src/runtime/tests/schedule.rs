use std::{future::Future, pin::Pin, time::Duration};

use serde_json::{Value, json};

use super::api::{IN_1970, RuntimeApi, Seen};
use crate::{
    runtime::{Budget, Budgets, after_response::defer, schedule::runtime},
    telemetry::{LogLevel, capture::Capture},
};

type Run = Pin<Box<dyn Future<Output = Result<Value, std::io::Error>> + Send>>;

fn handler(api: &RuntimeApi) -> impl Fn(Value, Budget) -> Run + Send + Sync + 'static {
    let api = api.clone();
    move |event, _budget| {
        let api = api.clone();
        Box::pin(async move {
            match event["do"].as_str() {
                Some("panic") => panic!("the run's own text"),
                Some("fail") => return Err(std::io::Error::other("nothing works")),
                Some("hang") => std::future::pending().await,
                Some("defer") => defer(async move { api.note("the work is done") }),
                _ => {}
            }
            Ok(json!({"started": 3}))
        })
    }
}

/// Runs the event, then a second one; returns once the second is answered.
async fn then_another<T>(
    api: &RuntimeApi,
    what: &str,
    budgets: Budgets,
    first: impl Future<Output = T>,
) -> T {
    let script = async {
        api.invoke("first", IN_1970, json!({"do": what}));
        api.invoke("second", IN_1970, json!({"detail-type": "Scheduled Event"}));
        let first = first.await;
        assert_eq!(api.until_answered("second").await, json!({"started": 3}));
        first
    };
    api.serve(|| runtime(budgets, handler(api)), script).await
}

#[tokio::test]
async fn a_runs_summary_is_the_answer_and_the_work_after_it_is_done() {
    let api = RuntimeApi::start().await;
    let summary = then_another(&api, "defer", Budgets::SCHEDULE, api.until_answered("first")).await;
    assert_eq!(summary, json!({"started": 3}));
    let seen = api.seen();
    assert!(matches!(&seen[1], Seen::Answered { id, .. } if id == "first"), "{seen:#?}");
    assert_eq!(seen[2], Seen::Noted("the work is done"));
}

#[tokio::test]
async fn a_failed_run_is_the_functions_error_and_is_logged() {
    let log = Capture::begin("test", LogLevel::default());
    let api = RuntimeApi::start().await;
    let error = then_another(&api, "fail", Budgets::SCHEDULE, api.until_failed("first")).await;
    assert_eq!(error["errorType"], "Failed");
    assert_eq!(error["errorMessage"], "the run failed: nothing works");
    let line = log.line("a scheduled run failed");
    assert_eq!(
        (&line["error"], &line["request_id"]),
        (&json!("the run failed: nothing works"), &json!("first"))
    );
}

#[tokio::test]
async fn reports_a_panicking_run_and_serves_the_next_event() {
    let log = Capture::begin("test", LogLevel::default());
    let api = RuntimeApi::start().await;
    let error = then_another(&api, "panic", Budgets::SCHEDULE, api.until_failed("first")).await;
    assert_eq!(error["errorType"], "Panicked");
    assert_eq!(log.line("a scheduled run failed")["error"], "the run panicked: the run's own text");
}

#[tokio::test]
async fn reports_an_overrun_and_serves_the_next_event() {
    let api = RuntimeApi::start().await;
    let budgets = Budgets { invocation: Duration::from_millis(700), ..Budgets::SCHEDULE };
    let error = then_another(&api, "hang", budgets, api.until_failed("first")).await;
    assert_eq!(error["errorType"], "Overran");
}
