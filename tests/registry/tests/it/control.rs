//! The same faults and journals for tests in another process: `/-/`.

use local_registry::{Effect, Operation, Point, Rule, Status, Step, When};
use reqwest::Method;
use serde_json::{Value, json};

use crate::bench::{AT_MOST, Answer, Bench, IMAGE};

async fn control(bench: &Bench, method: Method, path: &str, body: &Value) -> Answer {
    bench.send(bench.call(method, &format!("/-/{path}")).body(body.to_string())).await
}

#[tokio::test]
async fn faults_are_added_listed_and_removed() {
    let bench = Bench::new().await;
    let rule = json!({
        "repository": IMAGE, "step": "pre", "operation": "start", "times": 2,
        "effect": {"kind": "answer", "status": 500, "code": "UNKNOWN", "when": "after"},
    });
    let added = control(&bench, Method::POST, "rules", &rule).await;
    added.is(201);
    assert_eq!(
        bench.registry.rules().list()[0].1,
        Rule {
            repository: Some(IMAGE.to_owned()),
            step: Some(Step::Pre),
            operation: Some(Operation::Start),
            times: Some(2),
            effect: Effect::Answer {
                status: 500,
                code: Some("UNKNOWN".to_owned()),
                detail: None,
                body: None,
                when: When::After
            },
        }
    );
    let listed = control(&bench, Method::GET, "rules", &Value::Null).await.json();
    assert_eq!(listed, json!([{"id": added.json()["id"], "rule": rule}]));
    let path = format!("rules/{}", added.json()["id"]);
    control(&bench, Method::DELETE, &path, &Value::Null).await.is(204);
    control(&bench, Method::DELETE, &path, &Value::Null).await.is(404);
    bench.hold(Point::Work);
    control(&bench, Method::DELETE, "rules", &Value::Null).await.is(204);
    assert!(bench.registry.rules().list().is_empty());
}

#[tokio::test]
async fn every_fault_can_be_written_as_json() {
    for effect in [
        json!({"kind": "slow", "milliseconds": 5}),
        json!({"kind": "hold", "at": "work"}),
        json!({"kind": "hold", "at": "notification"}),
        json!({"kind": "hold", "at": "release"}),
        json!({"kind": "fail", "error": "x"}),
        json!({"kind": "cancel"}),
        json!({"kind": "lose_notification"}),
        json!({"kind": "repeat_notification", "extra": 1}),
        json!({"kind": "repeat_notification", "extra": 1, "concurrently": true}),
        json!({"kind": "delay_notification", "milliseconds": 5}),
        json!({"kind": "notify_before_accepted"}),
        json!({"kind": "drop_request_id"}),
        json!({"kind": "replace_request_id", "id": "x"}),
        json!({"kind": "answer", "status": 500}),
        json!({"kind": "answer", "status": 200, "body": "<"}),
        json!({"kind": "hang", "milliseconds": 5, "when": "after"}),
        json!({"kind": "cut"}),
    ] {
        let bench = Bench::new().await;
        control(&bench, Method::POST, "rules", &json!({"effect": effect})).await.is(201);
    }
}

#[tokio::test]
async fn a_fault_with_a_typing_error_is_refused() {
    let bench = Bench::new().await;
    for wrong in [
        json!({"effect": {"kind": "slowly", "milliseconds": 5}}),
        json!({"effect": {"kind": "slow", "seconds": 5}}),
        json!({"repo": IMAGE, "effect": {"kind": "cancel"}}),
        json!({"step": "both", "effect": {"kind": "cancel"}}),
        json!({}),
    ] {
        let answer = control(&bench, Method::POST, "rules", &wrong).await;
        answer.is(400);
        assert!(answer.json()["message"].as_str().is_some_and(|message| !message.is_empty()));
    }
    assert!(bench.registry.rules().list().is_empty());
}

#[tokio::test]
async fn the_journal_is_read_and_cleared() {
    let bench = Bench::new().await;
    bench.run(IMAGE, "pre").await;
    let journal = control(&bench, Method::GET, "journal", &Value::Null).await.json();
    let (request, sent) = (&journal["requests"][0], &journal["notifications"][0]);
    assert_eq!(request["operation"], "start");
    assert_eq!(request["request_id"], "attempt-pre");
    assert_eq!(request["answered"], 202);
    assert_eq!(sent["report"]["status"], "pre_import_complete");
    assert_eq!(sent["request_id"], "attempt-pre");
    assert_eq!(sent["outcome"], json!({"kind": "answered", "status": 200, "message": null}));
    control(&bench, Method::DELETE, "journal", &Value::Null).await.is(204);
    let journal = control(&bench, Method::GET, "journal", &Value::Null).await.json();
    assert_eq!(journal, json!({"requests": [], "notifications": []}));
}

#[tokio::test]
async fn the_maximum_is_set_and_shown() {
    let bench = Bench::new().await;
    control(&bench, Method::PUT, "max-concurrent-imports", &json!(0)).await.is(204);
    bench.start(IMAGE, "pre").await.is_error(429, "IMPORT_RATE_LIMIT");
    control(&bench, Method::PUT, "max-concurrent-imports", &json!("many")).await.is(400);
    control(&bench, Method::PUT, "max-concurrent-imports", &json!(3)).await.is(204);
    bench.bring_to(Status::PreImportInProgress).await;
    let slots = control(&bench, Method::GET, "slots", &Value::Null).await.json();
    assert_eq!(slots, json!({"in_use": 1, "maximum": 3}));
}

#[tokio::test]
async fn migration_mode_is_switched_on_request() {
    let bench = Bench::new().await;
    for (on, status) in [(json!(false), 404), (json!(true), 200)] {
        control(&bench, Method::PUT, "migration-mode", &on).await.is(204);
        bench.get("/gitlab/v1/").await.is(status);
    }
    control(&bench, Method::PUT, "migration-mode", &json!("on")).await.is(400);
}

#[tokio::test]
async fn the_registry_restarts_on_request() {
    let bench = Bench::new().await;
    bench.bring_to(Status::PreImportInProgress).await;
    control(&bench, Method::POST, "restart", &json!({"how": "graceful"})).await.is(202);
    let received = bench.receiver.wait_for(1).await;
    assert_eq!(received[0].body["detail"], "forced cancelation");
    let back = async {
        while bench.client.get(format!("{}/-/slots", bench.registry.url())).send().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(AT_MOST, back).await.unwrap();
    bench.reaches(IMAGE, Status::PreImportCanceled).await;
    control(&bench, Method::POST, "restart", &json!({"how": "softly"})).await.is(400);
}

#[tokio::test]
async fn a_migrated_repository_is_verified_on_request() {
    let bench = Bench::new().await;
    bench.bring_to(Status::PreImportComplete).await;
    control(&bench, Method::GET, &format!("verify/{IMAGE}"), &Value::Null).await.is(409);
    bench.run(IMAGE, "final").await;
    let verified = control(&bench, Method::GET, &format!("verify/{IMAGE}"), &Value::Null).await;
    verified.is(200);
    assert_eq!((&verified.json()["tags"], &verified.json()["digests"]), (&json!(2), &json!(3)));
    let statuses = control(&bench, Method::GET, "statuses", &Value::Null).await.json();
    assert_eq!((&statuses[0]["path"], &statuses[0]["status"]), (&json!(IMAGE), &json!("import_complete")));
    control(&bench, Method::GET, "nothing", &Value::Null).await.is(404);
}
