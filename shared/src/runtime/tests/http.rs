use std::{future::Future, pin::Pin, time::Duration};

use lambda_http::{Body, Request, RequestExt, Response};
use serde_json::{Value, json};

use super::api::{RuntimeApi, Seen, answer, http_event};
use crate::{
    runtime::{
        Budget, Budgets,
        after_response::{Deferred, defer},
        http::runtime,
    },
    telemetry::{LogLevel, capture::Capture},
};

/// Small enough that a test can wait for their end: 0.2 seconds for the handler, 0.4 in all.
const SHORT: Budgets =
    Budgets { handler: Duration::from_millis(200), invocation: Duration::from_millis(900) };

type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// Answers with what the path asks for.
fn handler(api: &RuntimeApi) -> impl Fn(Request, Budget) -> Answer + Send + Sync + 'static {
    let api = api.clone();
    move |request, budget| {
        let api = api.clone();
        Box::pin(async move {
            match request.raw_http_path() {
                "/panic" => panic!("the handler's own text"),
                "/log" => {
                    tracing::info!("the handler logs");
                    defer(async { tracing::info!("the work logs") });
                }
                "/query" => {
                    let query = request.query_string_parameters();
                    let read: serde_json::Map<_, _> =
                        query.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
                    return Response::new(Body::from(Value::Object(read).to_string()));
                }
                "/hang" => std::future::pending().await,
                "/defer" => defer(async move {
                    api.until(|seen| answer(seen, "first").is_some()).await;
                    api.note("the answer has left");
                    api.note("the work is done");
                }),
                "/defer-panic" => defer(async { panic!("the work's own text") }),
                "/defer-hang" => defer(std::future::pending()),
                "/defer-then-panic" => {
                    defer(async move { api.note("the work is done") });
                    panic!("after handing over");
                }
                "/defer-twice" => defer(async move {
                    api.note("outer");
                    defer(async move { api.note("inner") });
                }),
                _ => {}
            }
            let left = json!({
                "handler": budget.remaining().as_secs_f64(),
                "after": budget.after_response().remaining().as_secs_f64(),
            });
            let mut response = Response::new(Body::from(left.to_string()));
            response.headers_mut().insert("x-path", request.raw_http_path().parse().unwrap());
            response
        })
    }
}

/// Sends `path`, then a second event, and returns the first answer once the second is there.
async fn first_of_two(api: &RuntimeApi, budgets: Budgets, path: &str) -> Value {
    let script = async {
        api.request("first", "PUT", path);
        api.request("second", "GET", "/");
        let first = api.until_answered("first").await;
        assert_eq!(api.until_answered("second").await["statusCode"], 200);
        first
    };
    api.serve(|| runtime(budgets, Duration::ZERO, handler(api)), script).await
}

fn position(seen: &[Seen], of: &Seen) -> usize {
    seen.iter().position(|seen| seen == of).unwrap_or_else(|| panic!("no {of:?} in {seen:#?}"))
}

fn problem(answer: &Value) -> Value {
    assert_eq!(answer["headers"]["content-type"], "application/problem+json", "{answer}");
    assert_eq!(answer["isBase64Encoded"], false);
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn answers_then_works_then_takes_the_next_event() {
    let api = RuntimeApi::start().await;
    // The work waits for the answer to arrive: had the answer to wait for the work, this would not end.
    assert_eq!(first_of_two(&api, Budgets::HTTP, "/defer").await["statusCode"], 200);
    let seen = api.seen();
    assert_eq!(seen[0], Seen::AskedForEvent);
    assert!(matches!(&seen[1], Seen::Answered { id, .. } if id == "first"), "{seen:#?}");
    assert_eq!(seen[2], Seen::Noted("the answer has left"));
    assert_eq!(seen[3], Seen::Noted("the work is done"));
    assert_eq!(seen[4], Seen::AskedForEvent);
    assert!(matches!(&seen[5], Seen::Answered { id, .. } if id == "second"), "{seen:#?}");
}

#[tokio::test]
async fn what_the_handler_and_the_work_log_carries_the_request_id() {
    let log = Capture::begin("test", LogLevel::default());
    let api = RuntimeApi::start().await;
    first_of_two(&api, Budgets::HTTP, "/log").await;
    assert_eq!(log.line("the handler logs")["request_id"], "first");
    assert_eq!(log.line("the work logs")["request_id"], "first");
}

#[tokio::test]
async fn answers_a_panic_and_serves_the_next_event() {
    let log = Capture::begin("test", LogLevel::default());
    let api = RuntimeApi::start().await;
    let answer = first_of_two(&api, Budgets::HTTP, "/panic").await;
    assert_eq!(answer["statusCode"], 500);
    assert_eq!(answer["headers"]["x-request-id"], "first");
    assert_eq!(
        problem(&answer),
        json!({
            "type": "about:blank", "title": "Internal Server Error", "status": 500, "instance": "first",
            "message": "500 Internal Server Error - request first",
        })
    );
    let line = log.line("the handler panicked");
    assert_eq!((&line["panic"], &line["request_id"]), (&json!("the handler's own text"), &json!("first")));
}

#[tokio::test]
async fn answers_503_past_the_budget_and_serves_the_next_event() {
    let log = Capture::begin("test", LogLevel::default());
    let api = RuntimeApi::start().await;
    let answer = first_of_two(&api, SHORT, "/hang").await;
    assert_eq!(answer["statusCode"], 503);
    assert_eq!(answer["headers"]["retry-after"], "1");
    assert_eq!(problem(&answer)["instance"], "first");
    let detail = problem(&answer)["detail"].clone();
    assert!(detail.as_str().unwrap().contains("may still be done"), "{detail}");
    assert_eq!(log.line("the handler did not finish before its deadline")["request_id"], "first");
}

#[tokio::test]
async fn logs_a_panic_after_the_answer_and_serves_the_next() {
    let log = Capture::begin("test", LogLevel::default());
    let api = RuntimeApi::start().await;
    let answer = first_of_two(&api, Budgets::HTTP, "/defer-panic").await;
    assert_eq!(answer["statusCode"], 200);
    let line = log.line("the work after the answer panicked");
    assert_eq!((&line["panic"], &line["request_id"]), (&json!("the work's own text"), &json!("first")));
}

#[tokio::test]
async fn cuts_off_endless_work_and_serves_the_next_event() {
    let log = Capture::begin("test", LogLevel::default());
    let api = RuntimeApi::start().await;
    let answer = first_of_two(&api, SHORT, "/defer-hang").await;
    assert_eq!(answer["statusCode"], 200);
    let line = log.line("the work after the answer took longer than the invocation may");
    assert_eq!(line["request_id"], "first");
}

#[tokio::test]
async fn does_deferred_work_although_the_handler_panicked() {
    let api = RuntimeApi::start().await;
    let answer = first_of_two(&api, Budgets::HTTP, "/defer-then-panic").await;
    assert_eq!(answer["statusCode"], 500);
    position(&api.seen(), &Seen::Noted("the work is done"));
}

#[tokio::test]
async fn work_that_the_work_hands_over_is_done_before_the_next_event() {
    let api = RuntimeApi::start().await;
    first_of_two(&api, Budgets::HTTP, "/defer-twice").await;
    let seen = api.seen();
    let inner = position(&seen, &Seen::Noted("inner"));
    assert!(position(&seen, &Seen::Noted("outer")) < inner);
    assert_eq!(seen[inner + 1], Seen::AskedForEvent);
}

#[tokio::test]
async fn bounds_handler_and_work_by_the_platforms_deadline() {
    let api = RuntimeApi::start().await;
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let script = async {
        api.invoke("near", u64::try_from(now).unwrap() + 5_000, http_event("GET", "/"));
        api.request("none", "GET", "/");
        (api.until_answered("near").await, api.until_answered("none").await)
    };
    let (near, none) = api.serve(|| runtime(Budgets::HTTP, Duration::ZERO, handler(&api)), script).await;
    let left = |answer: &Value, of: &str| {
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        body[of].as_f64().unwrap()
    };
    assert!((3.0..=4.5).contains(&left(&near, "handler")), "{near}");
    assert!((3.0..=4.5).contains(&left(&near, "after")), "{near}");
    assert!((7.0..=8.0).contains(&left(&none, "handler")), "{none}");
    assert!((27.0..=28.5).contains(&left(&none, "after")), "{none}");
}

#[tokio::test]
async fn counts_the_start_into_the_first_request_only() {
    let api = RuntimeApi::start().await;
    let script = async {
        api.request("first", "GET", "/");
        api.request("second", "GET", "/");
        (api.until_answered("first").await, api.until_answered("second").await)
    };
    let starting = Duration::from_secs(4);
    let (first, second) = api.serve(|| runtime(Budgets::HTTP, starting, handler(&api)), script).await;
    let left = |answer: &Value, of: &str| {
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        body[of].as_f64().unwrap()
    };
    assert!((3.0..=4.0).contains(&left(&first, "handler")), "{first}");
    assert!((27.0..=28.5).contains(&left(&first, "after")), "{first}");
    assert!((7.0..=8.0).contains(&left(&second, "handler")), "{second}");
}

#[tokio::test]
async fn a_query_or_host_that_makes_no_uri_is_served_like_any_other() {
    let api = RuntimeApi::start().await;
    let mut event = http_event("GET", "/query");
    event["rawQueryString"] = json!("state=<x>&limit=\"1 2\"#&name=gr\u{fc}n&min_version=%37");
    event["headers"]["host"] = json!("127.0.0.1:99999");
    event["requestContext"]["domainName"] = json!("[not a host");
    let script = async {
        api.invoke("first", super::api::IN_1970, event);
        api.until_answered("first").await
    };
    let answer = api.serve(|| runtime(Budgets::HTTP, Duration::ZERO, handler(&api)), script).await;
    assert_eq!(answer["statusCode"], 200);
    let query: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(query, json!({"state": "<x>", "limit": "\"1 2\"#", "name": "gr\u{fc}n", "min_version": "7"}));
}

#[tokio::test]
async fn what_only_reads_is_not_said_to_be_done_later() {
    let api = RuntimeApi::start().await;
    let script = async {
        api.request("first", "GET", "/hang");
        api.until_answered("first").await
    };
    let answer = api.serve(|| runtime(SHORT, Duration::ZERO, handler(&api)), script).await;
    assert_eq!(
        (&answer["statusCode"], &problem(&answer)["detail"]),
        (&json!(503), &json!("this took too long"))
    );
}

#[tokio::test]
async fn answers_400_to_an_event_that_makes_no_request() {
    let api = RuntimeApi::start().await;
    let event = |change: &dyn Fn(&mut Value)| {
        let mut event = http_event("PUT", "/panic");
        change(&mut event);
        event
    };
    let long = "/a".repeat(40_000);
    let events = [
        ("a long path", event(&|event| event["rawPath"] = json!(long))),
        (
            "a path that is long once it is encoded",
            event(&|event| event["rawPath"] = json!("/ü".repeat(10_000))),
        ),
        ("a long query", event(&|event| event["rawQueryString"] = json!("a".repeat(65_535)))),
        ("a path that is none", event(&|event| event["rawPath"] = json!(":99999/a"))),
        (
            "a body that is no base64",
            event(&|event| {
                event["body"] = json!("{}");
                event["isBase64Encoded"] = json!(true);
            }),
        ),
        (
            "half of base64",
            event(&|event| {
                event["body"] = json!("e30");
                event["isBase64Encoded"] = json!(true);
            }),
        ),
    ];
    let script = async {
        for (number, (what, event)) in events.iter().enumerate() {
            let id = number.to_string();
            api.invoke(&id, super::api::IN_1970, event.clone());
            let answer = api.until_answered(&id).await;
            assert_eq!(answer["statusCode"], 400, "{what}: {answer}");
            assert_eq!(problem(&answer)["type"], "urn:registry-migration:impossible-request", "{what}");
        }
        // A caller cannot have a request refused by its name, nor one accepted.
        let mut event = http_event("GET", "/");
        event["stageVariables"] = json!({"impossible": "so it is said"});
        event["body"] = json!("e30=");
        event["isBase64Encoded"] = json!(true);
        api.invoke("last", super::api::IN_1970, event);
        assert_eq!(api.until_answered("last").await["statusCode"], 200);
    };
    api.serve(|| runtime(Budgets::HTTP, Duration::ZERO, handler(&api)), script).await;
}

#[tokio::test]
async fn a_stage_in_front_of_the_path_is_no_part_of_it() {
    let api = RuntimeApi::start().await;
    let script = async {
        for (number, (stage, path, seen)) in [
            ("prod", "/prod/a/b", "/a/b"),
            ("prod", "/a/b", "/a/b"),
            ("prod", "/prod/prod/a", "/prod/a"),
            ("prod", "/production/a", "/production/a"),
            ("prod", "/prod", "/prod"),
            ("prod", "/prod/", "/"),
            ("$default", "/$default/a", "/$default/a"),
            ("$default", "/prod/a", "/prod/a"),
        ]
        .into_iter()
        .enumerate()
        {
            let mut event = http_event("GET", path);
            event["requestContext"]["stage"] = json!(stage);
            let id = number.to_string();
            api.invoke(&id, super::api::IN_1970, event);
            let answer = api.until_answered(&id).await;
            assert_eq!(answer["headers"]["x-path"], seen, "{stage} {path}: {answer}");
        }
    };
    api.serve(|| runtime(Budgets::HTTP, Duration::ZERO, handler(&api)), script).await;
}

#[tokio::test]
async fn refuses_what_is_no_request_and_serves_the_next_event() {
    let api = RuntimeApi::start().await;
    let script = async {
        api.invoke("first", super::api::IN_1970, json!({"detail-type": "Scheduled Event"}));
        api.request("second", "GET", "/");
        (api.until_failed("first").await, api.until_answered("second").await)
    };
    let (_, second) = api.serve(|| runtime(Budgets::HTTP, Duration::ZERO, handler(&api)), script).await;
    assert_eq!(second["statusCode"], 200);
}

#[tokio::test]
async fn drops_and_logs_work_outside_an_invocation() {
    let log = Capture::begin("test", LogLevel::default());
    defer(async { panic!("must not run") });
    assert_eq!(log.line("`defer` called outside an invocation; work dropped")["level"], "ERROR");
}

#[tokio::test]
async fn a_test_without_a_runtime_can_collect_the_work_and_run_it() {
    let deferred = Deferred::default();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let answer = deferred
        .collect(async {
            defer(async move { sender.send(7).unwrap() });
            "answer"
        })
        .await;
    assert_eq!((answer, deferred.len()), ("answer", 1));
    deferred.run(Budget::of(Duration::from_secs(5))).await;
    assert!(deferred.is_empty());
    assert_eq!(receiver.await, Ok(7));
}
