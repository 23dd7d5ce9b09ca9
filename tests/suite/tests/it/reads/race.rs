//! The race that the project exists for, made certain: replay is paused, so the replica surely shows less.

use std::sync::Arc;

use local::{
    Function, READER_ARN,
    local_registry::{self, Effect, Point, Rule},
};
use reqwest::StatusCode;
use serde_json::Value;
use shared::{
    endpoint::{ReplicaReads, Status},
    migration::RepositoryPath,
    store::Store,
};
use suite::{history, reads, repositories, row, stack, state};
use tokio::time::Instant;

/// The handler as it was before: it reads `migration_state` where reads go, and then checks it.
async fn notified_by_a_read_on_the_reader(reads: Arc<ReplicaReads>, path: &str) -> (u16, String) {
    let path = RepositoryPath::parse(path).unwrap();
    let deadline = Instant::now() + suite::PATIENCE;
    let row = Store::<Status>::new(reads).status(&path, None, deadline).await.unwrap().found.unwrap();
    if row.migration_state.is_active() {
        (200, "OK".to_owned())
    } else {
        (400, format!("400 Bad request - Wrong migration state ({})", row.migration_state))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_that_outruns_the_replica_is_accepted() {
    let stack = stack().await.unwrap();
    repositories(&stack, &["group/small"]).await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    stack.pair().pause_replay().await.unwrap();
    // The registry's own notifications are held back: the test sends the first.
    stack.registry().unwrap().rules().add(Rule::new(Effect::Hold { at: Point::Notification }));

    let started = stack.client().start("group/small").await.unwrap();
    assert_eq!(started.status(), StatusCode::ACCEPTED);
    let started: Value = started.json().await.unwrap();
    assert_eq!((started["migration_state"].as_str(), suite::changes(&started)), (Some("pre_importing"), 1));

    let on_the_reader = stack.client().status("group/small").await.unwrap();
    assert_eq!(
        (on_the_reader["migration_state"].as_str(), on_the_reader["served_by"].as_str()),
        (Some("default"), Some("reader"))
    );

    let lost = notified_by_a_read_on_the_reader(reads(&stack), "group/small").await;
    assert_eq!(lost, (400, "400 Bad request - Wrong migration state (default)".to_owned()));

    let registry = stack.registry().unwrap();
    assert!(
        registry
            .wait_for_status("group/small", local_registry::Status::PreImportComplete, suite::PATIENCE)
            .await
    );
    let attempt = started["attempt"].as_str();
    let answer = stack.client().notify("group/small", "pre_import_complete", attempt).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(state(&stack, "group/small").await.unwrap(), "importing");
    assert_eq!(
        history(&stack, "group/small").await.unwrap(),
        [
            "start_pre_import default>pre_importing",
            "finish_pre_import pre_importing>pre_import_done",
            "start_import pre_import_done>importing",
        ]
    );
    let still_on_the_reader = stack.client().status("group/small").await.unwrap();
    assert_eq!(still_on_the_reader["migration_state"], "default");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_a_replica_is_refused_and_nothing_changes() {
    let stack = stack().await.unwrap();
    suite::given(&stack, "group/image", "pre_importing", None).await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    let before = row(&stack, "group/image").await.unwrap();
    let functions = stack
        .run_functions(&[Function::RegistryNotification], |_, environment| {
            environment.insert("WRITER_ARN".to_owned(), READER_ARN.to_owned());
        })
        .await
        .unwrap();

    let answer =
        stack.client_of(&functions).notify("group/image", "pre_import_complete", None).await.unwrap();

    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    let log = functions.log(Function::RegistryNotification);
    assert!(log.contains("25006"), "{log}");
    assert_eq!(row(&stack, "group/image").await.unwrap(), before);
    functions.stop();
    stack.stop().await.unwrap();
}
