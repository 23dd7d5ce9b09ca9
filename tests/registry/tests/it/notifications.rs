//! The registry's own call: what it looks like, when it is sent, and what becomes of it.

use std::net::TcpListener;
use std::time::Duration;

use local_registry::storage::ImageOptions;
use local_registry::{Delivery, Effect, Point, Rule, Status};
use reqwest::Method;
use serde_json::json;

use crate::bench::{AT_MOST, Bench, IMAGE, SECRET, claims, token};

#[tokio::test]
async fn a_notification_looks_as_the_protocol_says() {
    let bench = Bench::new().await;
    bench.send(bench.start_call(IMAGE, "pre", "the-attempt")).await.is(202);
    let received = bench.receiver.wait_for(1).await;
    let notification = &received[0];
    assert_eq!(notification.method, Method::PUT);
    assert_eq!(notification.path, "/registry/repositories/group/project/image/migration/status");
    assert_eq!(notification.header("authorization"), Some(SECRET));
    assert_eq!(notification.header("content-type"), Some("application/json"));
    assert_eq!(notification.header("x-request-id"), Some("the-attempt"));
    assert_eq!(notification.header("x-gitlab-client-name"), Some("gitlab-container-registry"));
    assert_eq!(
        notification.body,
        json!({
            "name": "image", "path": IMAGE, "status": "pre_import_complete",
            "detail": "pre import completed successfully",
        })
    );
}

#[tokio::test]
async fn each_end_of_an_import_is_told_once_and_after_it_is_stored() {
    let fail = Effect::Fail { error: "on request".to_owned() };
    for (step, fault, told) in [
        ("pre", None, "pre_import_complete"),
        ("pre", Some(fail.clone()), "pre_import_failed"),
        ("pre", Some(Effect::Cancel), "pre_import_canceled"),
        ("final", None, "import_complete"),
        ("final", Some(fail), "import_failed"),
        ("final", Some(Effect::Cancel), "import_canceled"),
    ] {
        let bench = Bench::new().await;
        if step == "final" {
            bench.run(IMAGE, "pre").await;
        }
        let before = bench.receiver.received().len();
        if let Some(effect) = fault {
            bench.registry.rules().add(Rule::new(effect));
        }
        bench.receiver.hold();
        bench.start(IMAGE, step).await.is(202);
        let received = bench.receiver.wait_for(before + 1).await;
        assert_eq!(received[before].status(), told);
        // The notification is not answered yet, and whoever asks is told the same.
        assert_eq!(bench.status(IMAGE).await.json(), received[before].body);
        bench.receiver.release();
        bench.idle().await;
        assert_eq!(bench.receiver.received().len(), before + 1);
    }
}

#[tokio::test]
async fn only_200_is_a_success_and_nothing_is_sent_again() {
    for answer in [200, 201, 202, 204, 301, 400, 401, 500, 503] {
        let bench = Bench::new().await;
        bench.receiver.answer_next(answer, r#"{"message":"so it is"}"#);
        bench.run(IMAGE, "pre").await;
        let sent = bench.registry.journal().notifications();
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].is_accepted(), answer == 200, "{:?}", sent[0]);
        let message = (answer != 204).then(|| "so it is".to_owned());
        assert_eq!(sent[0].outcome, Delivery::Answered { status: answer, message });
        assert_eq!(bench.receiver.received().len(), 1);
        bench.reaches(IMAGE, Status::PreImportComplete).await;
    }
}

#[tokio::test]
async fn loses_a_late_answer_and_frees_the_slot() {
    let bench = Bench::with(|config| {
        if let Some(notification) = &mut config.notification {
            notification.timeout = Duration::from_millis(100);
        }
    })
    .await;
    bench.receiver.hold();
    bench.run(IMAGE, "pre").await;
    let sent = bench.registry.journal().notifications();
    assert_eq!(sent.len(), 1);
    assert!(matches!(sent[0].outcome, Delivery::Failed { .. }), "{:?}", sent[0]);
    bench.reaches(IMAGE, Status::PreImportComplete).await;
}

#[tokio::test]
async fn a_driver_that_is_not_there_loses_the_notification() {
    let closed = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let bench = Bench::with(|config| {
        if let Some(notification) = &mut config.notification {
            notification.url_template = format!("http://{closed}/{{path}}");
        }
    })
    .await;
    bench.run(IMAGE, "pre").await;
    let sent = bench.registry.journal().notifications();
    assert!(matches!(sent[0].outcome, Delivery::Failed { .. }), "{:?}", sent[0]);
}

#[tokio::test]
async fn the_slot_is_free_only_after_the_notification_was_answered() {
    let bench = Bench::with(|config| config.max_concurrent_imports = 1).await;
    bench.old().write_image("other", &["v1"], &ImageOptions::small(7)).unwrap();
    bench.receiver.hold();
    bench.start(IMAGE, "pre").await.is(202);
    bench.receiver.wait_for(1).await;
    bench.start(IMAGE, "final").await.is_error(429, "IMPORT_RATE_LIMIT");
    bench.start("other", "pre").await.is_error(429, "IMPORT_RATE_LIMIT");
    bench.receiver.release();
    bench.idle().await;
    bench.start(IMAGE, "final").await.is(202);
}

#[tokio::test]
async fn even_after_the_answer_the_slot_may_be_taken_a_moment_longer() {
    let bench = Bench::with(|config| config.max_concurrent_imports = 1).await;
    let rule = bench.hold(Point::Release);
    bench.start(IMAGE, "pre").await.is(202);
    let journal = bench.registry.journal();
    let answered =
        |journal: &local_registry::Journal| journal.notifications().iter().any(|n| n.is_accepted());
    assert!(journal.wait_until(AT_MOST, answered).await);
    bench.start(IMAGE, "final").await.is_error(429, "IMPORT_RATE_LIMIT");
    bench.registry.rules().remove(rule);
    bench.idle().await;
    bench.start(IMAGE, "final").await.is(202);
}

#[tokio::test]
async fn notifies_with_the_id_that_the_start_was_answered_with() {
    let bench = Bench::new().await;
    let path = format!("/gitlab/v1/import/{IMAGE}/?import_type=pre");
    let answer = bench.send(bench.call(Method::PUT, &path).bearer_auth(token(&claims()))).await;
    answer.is(202);
    let received = bench.receiver.wait_for(1).await;
    assert_eq!(received[0].header("x-request-id"), Some(answer.header("x-request-id")));
}

#[tokio::test]
async fn the_journal_orders_what_was_received_and_what_was_sent() {
    let bench = Bench::new().await;
    bench.bring_to(Status::ImportComplete).await;
    let starts = bench.registry.journal().requests();
    let sent = bench.registry.journal().notifications();
    assert_eq!((starts.len(), sent.len()), (2, 2));
    assert!(starts[0].received < sent[0].sent && sent[0].sent < sent[0].ended.unwrap());
    assert!(sent[0].ended.unwrap() < starts[1].received && starts[1].received < sent[1].sent);
    bench.registry.journal().clear();
    assert!(bench.registry.journal().notifications().is_empty());
}

#[test]
fn the_notification_secret_does_not_show_itself() {
    let notification =
        local_registry::Notification { url_template: String::new(), secret: SECRET.into(), timeout: AT_MOST };
    assert!(!format!("{notification:?}").contains(SECRET));
}
