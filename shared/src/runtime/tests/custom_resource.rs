use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use axum::{Router, body::Bytes, http::HeaderMap, http::StatusCode, routing::put};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::Instant};

use super::api::{IN_1970, RuntimeApi};
use crate::{
    runtime::{
        Budgets,
        custom_resource::{RequestType, ResourceRequest, runtime},
    },
    telemetry::{LogLevel, capture::Capture},
};

const BUDGETS: Budgets = Budgets { handler: Duration::MAX, invocation: Duration::from_secs(20) };
const ID: &str = "the-resource";

type Run = Pin<Box<dyn Future<Output = Result<Value, String>> + Send>>;

fn handle(request: ResourceRequest, _until: Instant) -> Run {
    Box::pin(async move {
        match request.properties["Do"].as_str() {
            Some("panic") => panic!("with a secret in its text"),
            Some("fail") => return Err(format!("no such thing {}", "ü".repeat(5000))),
            Some("hang") => std::future::pending().await,
            _ => {}
        }
        Ok(json!({"kind": format!("{:?}", request.kind), "old": request.old_properties}))
    })
}

/// Where a stack waits: answers with the statuses it was given, then with 200.
#[derive(Clone, Default)]
struct Stack {
    statuses: Arc<Mutex<VecDeque<u16>>>,
    responses: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
}

impl Stack {
    async fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/stack?Signature=a%2Fb", listener.local_addr().unwrap());
        let stack = self.clone();
        let answer = async move |headers: HeaderMap, body: Bytes| {
            assert!(body.len() <= 4096, "{} bytes", body.len());
            stack.responses.lock().unwrap().push((headers, serde_json::from_slice(&body).unwrap()));
            StatusCode::from_u16(stack.statuses.lock().unwrap().pop_front().unwrap_or(200)).unwrap()
        };
        // It ends with the test's runtime.
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/stack", put(answer))).await });
        url
    }

    fn responses(&self) -> Vec<Value> {
        self.responses.lock().unwrap().iter().map(|(_, response)| response.clone()).collect()
    }
}

fn event(url: &str, kind: &str, properties: Value) -> Value {
    json!({
        "RequestType": kind,
        "ResponseURL": url,
        "StackId": "arn:aws:cloudformation:eu-central-1:1:stack/driver/1",
        "RequestId": "request-1",
        "ResourceType": "Custom::Schema",
        "LogicalResourceId": "Schema",
        "ResourceProperties": properties,
    })
}

/// All responses that the stack gets to one event, and the invocation's own answer.
async fn responses_to(event: impl FnOnce(&str) -> Value, deadline: u64) -> (Vec<Value>, Value) {
    let (api, stack) = (RuntimeApi::start().await, Stack::default());
    let event = event(&stack.listen().await);
    let script = async {
        api.invoke("one", deadline, event);
        api.until_answered("one").await
    };
    let answer = api.serve(|| runtime(BUDGETS, ID, handle), script).await;
    (stack.responses(), answer)
}

#[tokio::test]
async fn reports_success_once_with_a_lasting_id() {
    let (api, stack) = (RuntimeApi::start().await, Stack::default());
    let url = stack.listen().await;
    let script = async {
        api.invoke("create", IN_1970, event(&url, "Create", json!({})));
        api.until_answered("create").await;
        let mut update = event(&url, "Update", json!({}));
        update["PhysicalResourceId"] = json!("as it was");
        update["OldResourceProperties"] = json!({"Do": "less"});
        api.invoke("update", IN_1970, update);
        api.until_answered("update").await
    };
    let answer = api.serve(|| runtime(BUDGETS, ID, handle), script).await;
    assert_eq!(answer, json!({"kind": "Update", "old": {"Do": "less"}}));
    let expected = |id: &str| {
        json!({
            "Status": "SUCCESS",
            "PhysicalResourceId": id,
            "StackId": "arn:aws:cloudformation:eu-central-1:1:stack/driver/1",
            "RequestId": "request-1",
            "LogicalResourceId": "Schema",
        })
    };
    assert_eq!(stack.responses(), [expected(ID), expected("as it was")]);
    assert!(stack.responses.lock().unwrap().iter().all(|(headers, _)| !headers.contains_key("content-type")));
}

#[tokio::test]
async fn a_failure_is_told_with_its_reason_cut_short() {
    let (responses, _) = responses_to(|url| event(url, "Create", json!({"Do": "fail"})), IN_1970).await;
    let [response] = &responses[..] else { panic!("{responses:?}") };
    assert_eq!((&response["Status"], &response["PhysicalResourceId"]), (&json!("FAILED"), &json!(ID)));
    assert!(response["Reason"].as_str().unwrap().starts_with("no such thing ü"), "{response}");
}

#[tokio::test]
async fn a_panic_is_told_without_its_text() {
    let log = Capture::begin("test", LogLevel::default());
    let (responses, _) = responses_to(|url| event(url, "Update", json!({"Do": "panic"})), IN_1970).await;
    assert_eq!(responses[0]["Status"], "FAILED");
    assert_eq!(responses[0]["Reason"], "a defect (panic): the function's log says more");
    log.line("the resource failed");
}

#[tokio::test]
async fn work_that_does_not_end_is_told_before_the_function_is_ended() {
    let soon = SystemTime::now() + Duration::from_secs(8);
    let deadline = soon.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    let (responses, _) =
        responses_to(|url| event(url, "Create", json!({"Do": "hang"})), deadline.try_into().unwrap()).await;
    // The runtime itself keeps half a second; telling may take longer than that.
    let left = soon.duration_since(SystemTime::now()).unwrap_or_default();
    assert!(left > Duration::from_millis(1500), "{left:?} were left to tell it");
    assert_eq!(
        (&responses[0]["Status"], &responses[0]["Reason"]),
        (&json!("FAILED"), &json!("it did not finish in time"))
    );
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_told_as_well() {
    for broken in [json!("Destroy"), json!(7), Value::Null] {
        let make = |url: &str| {
            let mut event = event(url, "", json!("no object"));
            event["RequestType"] = broken.clone();
            event["StackId"] = json!(["no text"]);
            event
        };
        let (responses, _) = responses_to(make, IN_1970).await;
        assert_eq!(responses[0]["Status"], "FAILED", "{broken}");
        assert_eq!(responses[0]["Reason"], "RequestType is none of Create, Update and Delete", "{broken}");
        assert_eq!((&responses[0]["StackId"], &responses[0]["RequestId"]), (&json!(""), &json!("request-1")));
    }
}

#[tokio::test]
async fn an_answer_that_is_not_taken_is_sent_again() {
    let (api, stack) = (RuntimeApi::start().await, Stack::default());
    stack.statuses.lock().unwrap().extend([503, 500]);
    let url = stack.listen().await;
    let script = async {
        api.invoke("one", IN_1970, event(&url, "Delete", json!({})));
        api.until_answered("one").await
    };
    api.serve(|| runtime(BUDGETS, ID, handle), script).await;
    assert_eq!(stack.responses().len(), 3);
}

#[tokio::test]
async fn fails_and_hides_the_url_when_the_stack_is_unreachable() {
    let log = Capture::begin("test", LogLevel::default());
    let (api, stack) = (RuntimeApi::start().await, Stack::default());
    stack.statuses.lock().unwrap().extend([403]);
    let url = stack.listen().await;
    let script = async {
        api.invoke("refused", IN_1970, event(&url, "Create", json!({})));
        let refused = api.until_failed("refused").await;
        api.invoke("nowhere", IN_1970, event("nowhere", "Create", json!({})));
        (refused, api.until_failed("nowhere").await)
    };
    let (refused, nowhere) = api.serve(|| runtime(BUDGETS, ID, handle), script).await;
    assert_eq!(refused["errorType"], "Unanswered");
    assert_eq!(refused["errorMessage"], "the stack was not answered: refused with 403 Forbidden");
    assert_eq!(nowhere["errorMessage"], "the stack was not answered: ResponseURL is no address");
    assert!(log.text().contains("refused with 403") && !log.text().contains("Signature"), "{}", log.text());
}

#[tokio::test]
async fn who_invokes_it_by_hand_is_answered() {
    let api = RuntimeApi::start().await;
    let script = async {
        api.invoke("good", IN_1970, json!({}));
        let good = api.until_answered("good").await;
        api.invoke("bad", IN_1970, json!({"ResourceProperties": {"Do": "fail"}}));
        (good, api.until_failed("bad").await)
    };
    let (good, bad) = api.serve(|| runtime(BUDGETS, ID, handle), script).await;
    assert_eq!(good["kind"], format!("{:?}", RequestType::ByHand));
    assert_eq!(bad["errorType"], "Failed");
}
