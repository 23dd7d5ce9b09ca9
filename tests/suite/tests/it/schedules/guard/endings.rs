//! How an attempt ended, where its notification was lost.

use local::{
    Function, Stack,
    local_registry::{Effect, Point, Rule, Status, Step, storage::verify},
};
use serde_json::json;
use shared::{
    migration::AttemptId,
    store::{Claimed, Store},
};
use suite::{
    PATIENCE, history, repositories, row, sql, state, until_freed_slots_are_dealt_with, until_state, writer,
};
use uuid::Uuid;

use super::{found, guard, just, minutes_pass, retries, stack, start, starts};

#[tokio::test(flavor = "multi_thread")]
async fn every_notification_lost_costs_time_and_no_retry() {
    let stack = stack().await;
    let paths = ["group/a", "group/b", "group/c"];
    repositories(&stack, &paths).await.unwrap();
    let registry = stack.registry().unwrap();
    registry.rules().add(Rule::new(Effect::LoseNotification));
    for path in paths {
        start(&stack, path).await;
        assert!(registry.wait_for_status(path, Status::PreImportComplete, PATIENCE).await);
    }
    minutes_pass(&stack, 6).await;
    assert_eq!(found(&guard(&stack).await), just("promoted", 3));
    for path in paths {
        assert!(registry.wait_for_status(path, Status::ImportComplete, PATIENCE).await);
    }
    minutes_pass(&stack, 6).await;
    assert_eq!(found(&guard(&stack).await), just("finished", 3));
    for path in paths {
        assert_eq!(state(&stack, path).await.unwrap(), "import_done");
        assert_eq!(retries(&stack, path).await, 0);
        let whole = [
            "start_pre_import default>pre_importing",
            "finish_pre_import pre_importing>pre_import_done",
            "start_import pre_import_done>importing",
            "finish_import importing>import_done",
        ];
        assert_eq!(history(&stack, path).await.unwrap(), whole);
        verify(&registry.old_storage(), &registry.new_storage(), path).unwrap();
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_a_lost_failure_but_not_a_cancelation() {
    let stack = stack().await;
    repositories(&stack, &["pre/failed", "final/failed", "last/failed", "pre/canceled"]).await.unwrap();
    let registry = stack.registry().unwrap();
    let fail = || Effect::Fail { error: "blob unknown".to_owned() };
    for (path, step, effect) in [
        ("pre/failed", Step::Pre, fail()),
        ("final/failed", Step::Final, fail()),
        ("last/failed", Step::Pre, fail()),
        ("pre/canceled", Step::Pre, Effect::Cancel),
    ] {
        registry.rules().add(Rule::new(effect).repository(path).step(step));
        registry.rules().add(Rule::new(Effect::LoseNotification).repository(path).step(step));
    }
    sql(&stack, "UPDATE container_repositories SET retries_count = 2 WHERE path = 'last/failed'")
        .await
        .unwrap();
    for (path, status) in [
        ("pre/failed", Status::PreImportFailed),
        ("final/failed", Status::ImportFailed),
        ("last/failed", Status::PreImportFailed),
        ("pre/canceled", Status::PreImportCanceled),
    ] {
        start(&stack, path).await;
        assert!(registry.wait_for_status(path, status, PATIENCE).await, "{path}");
    }
    // The slots that the guard frees stay free.
    sql(&stack, "UPDATE migration_settings SET capacity = 0").await.unwrap();
    minutes_pass(&stack, 6).await;

    let summary = guard(&stack).await;

    assert_eq!(found(&summary), [("canceled".to_owned(), 1), ("failed".to_owned(), 3)].into());
    for (path, retries_count, aborted_in) in [
        ("pre/failed", 1, "pre_importing"),
        ("final/failed", 1, "importing"),
        ("pre/canceled", 0, "pre_importing"),
    ] {
        let row = row(&stack, path).await.unwrap();
        assert_eq!(row["migration_state"], "import_aborted", "{path}");
        assert_eq!(
            (&row["retries_count"], &row["aborted_in_state"]),
            (&json!(retries_count), &json!(aborted_in))
        );
        assert_eq!(row["not_before"].is_string(), path == "pre/canceled");
        assert_eq!(row["slot"], json!(null));
    }
    let skipped = row(&stack, "last/failed").await.unwrap();
    assert_eq!(
        (&skipped["migration_state"], &skipped["skipped_reason"]),
        (&json!("import_skipped"), &json!(1))
    );
    assert_eq!(row(&stack, "pre/failed").await.unwrap()["detail"], "blob unknown");
    stack.stop().await.unwrap();
}

/// Lets the repository fail once, which is counted, and then claims it again and ends before the registry is
/// asked, as a process that is killed in between.
async fn failed_claimed_and_never_asked(stack: &Stack, path: &str) -> AttemptId {
    let rules = stack.registry().unwrap().rules();
    let hold = rules.add(Rule::new(Effect::Hold { at: Point::Work }));
    start(stack, path).await;
    // Nobody else is to claim it when it has failed.
    sql(stack, "UPDATE migration_settings SET capacity = 0").await.unwrap();
    assert!(rules.remove(hold));
    until_state(stack, path, "import_aborted").await.unwrap();
    assert_eq!(retries(stack, path).await, 1);
    until_freed_slots_are_dealt_with(stack, Function::RegistryNotification, 1).await.unwrap();
    sql(stack, "UPDATE migration_settings SET capacity = 1").await.unwrap();
    let change = AttemptId::new(Uuid::new_v4());
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let claimed = Store::new(writer(stack)).claim_next(change, deadline).await.unwrap();
    let Claimed::Started(row) = claimed else { panic!("{claimed:?}") };
    assert_eq!(row.path.as_str(), path);
    change
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_a_failure_once_without_a_next_attempt() {
    let stack = stack().await;
    repositories(&stack, &["group/image"]).await.unwrap();
    let registry = stack.registry().unwrap();
    registry.rules().add(Rule::new(Effect::Fail { error: "blob unknown".to_owned() }).times(1));
    let attempt = failed_claimed_and_never_asked(&stack, "group/image").await;
    minutes_pass(&stack, 6).await;

    assert_eq!(found(&guard(&stack).await), just("asked_again", 1));

    until_state(&stack, "group/image", "import_done").await.unwrap();
    assert_eq!(retries(&stack, "group/image").await, 1);
    let asked = starts(&stack, "group/image", Step::Pre);
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].request_id, Some(attempt.to_string()));
    let asking = "ask_again pre_importing>pre_importing (asking)";
    assert!(history(&stack, "group/image").await.unwrap().contains(&asking.to_owned()));
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_after_the_registry_was_asked_again_is_counted() {
    let stack = stack().await;
    repositories(&stack, &["group/image"]).await.unwrap();
    let registry = stack.registry().unwrap();
    registry.rules().add(Rule::new(Effect::Fail { error: "blob unknown".to_owned() }));
    failed_claimed_and_never_asked(&stack, "group/image").await;
    registry.rules().add(Rule::new(Effect::LoseNotification));
    sql(&stack, "UPDATE migration_settings SET capacity = 0").await.unwrap();
    minutes_pass(&stack, 6).await;
    assert_eq!(found(&guard(&stack).await), just("asked_again", 1));
    assert!(registry.wait_until_idle(PATIENCE).await);
    minutes_pass(&stack, 6).await;

    assert_eq!(found(&guard(&stack).await), just("failed", 1));

    assert_eq!(retries(&stack, "group/image").await, 2);
    stack.stop().await.unwrap();
}
