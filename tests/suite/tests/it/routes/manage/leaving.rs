//! Repositories that are renamed, deleted in the old registry, or forgotten by the driver while they are migrated,
//! and paths that are there already.

use local::{
    Function, Stack,
    local_registry::{Effect, Journal, Point, Rule, RuleId, Step, storage::verify},
};
use serde_json::{Value, json};
use suite::{
    PATIENCE, STATES, given, history, push_image, repositories, row, sql, until_freed_slots_are_dealt_with,
    until_state,
};
use uuid::Uuid;

use super::{call, post, stack};

async fn remove(stack: &Stack, path: &str) -> (u16, Value) {
    call(stack, "DELETE", &format!("/repositories/{path}"), Value::Null).await
}

/// As somebody deletes it, or moves it elsewhere, in the old registry.
fn gone_from_the_old_storage(stack: &Stack, path: &str) {
    let root = stack.old_storage().unwrap().root().to_owned();
    let folder = root.join("docker/registry/v2/repositories").join(path);
    std::fs::remove_dir_all(folder).unwrap();
    assert!(!stack.old_storage().unwrap().holds(path));
}

fn hold(stack: &Stack, path: &str, at: Point, step: Step) -> RuleId {
    stack.registry().unwrap().rules().add(Rule::new(Effect::Hold { at }).repository(path).step(step))
}

async fn started(stack: &Stack, path: &str) {
    assert_eq!(stack.client().start(path).await.unwrap().status(), 202, "{path}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_as_not_found_when_deleted_in_the_old_registry() {
    let stack = stack().await;
    let rules = stack.registry().unwrap().rules();
    repositories(&stack, &["gone/in-pre", "gone/in-between"]).await.unwrap();
    // What the copying meets then differs from storage to storage: it fails, or it finds all it needs.
    rules.add(Rule::new(Effect::Fail { error: "manifest unknown".to_owned() }).repository("gone/in-pre"));
    let in_pre = hold(&stack, "gone/in-pre", Point::Work, Step::Pre);
    let in_between = hold(&stack, "gone/in-between", Point::Notification, Step::Pre);
    for path in ["gone/in-pre", "gone/in-between"] {
        started(&stack, path).await;
        gone_from_the_old_storage(&stack, path);
    }

    assert!(rules.remove(in_pre) && rules.remove(in_between));

    for (path, retries, last) in [
        ("gone/in-pre", 1, "already_migrated pre_importing>import_done"),
        ("gone/in-between", 0, "already_migrated importing>import_done"),
    ] {
        until_state(&stack, path, "import_done").await.unwrap();
        let row = row(&stack, path).await.unwrap();
        assert_eq!((&row["skipped_reason"], &row["retries_count"]), (&json!(5), &json!(retries)), "{path}");
        assert_eq!(history(&stack, path).await.unwrap().last().unwrap(), last);
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn migrates_a_renamed_repository_under_its_new_name() {
    let stack = stack().await;
    let registry = stack.registry().unwrap();
    repositories(&stack, &["group/old"]).await.unwrap();
    hold(&stack, "group/old", Point::Work, Step::Pre);
    let echo = hold(&stack, "group/old", Point::Notification, Step::Pre);
    started(&stack, "group/old").await;
    gone_from_the_old_storage(&stack, "group/old");
    push_image(&stack.old_storage().unwrap(), "group/new").unwrap();

    let (status, problem) = remove(&stack, "group/old").await;
    assert_eq!((status, &problem["migration_state"]), (409, &json!("pre_importing")), "{problem}");
    assert_eq!(post(&stack, "/migrations/cancel/group/old", Value::Null).await.0, 200);
    until_freed_slots_are_dealt_with(&stack, Function::ManageMigrations, 1).await.unwrap();
    let (status, removed) = remove(&stack, "group/old").await;
    assert_eq!((status, &removed["skipped_reason"]), (200, &json!("migration_canceled")), "{removed}");
    assert_eq!(post(&stack, "/repositories", json!([{"path": "group/new"}])).await.1["registered"], 1);
    started(&stack, "group/new").await;

    // The old name's import ends, and tells of it.
    assert!(registry.rules().remove(echo));
    let notified = |journal: &Journal| {
        let sent = journal.notifications().into_iter();
        sent.filter(|sent| sent.report.path == "group/old").any(|sent| sent.ended.is_some())
    };
    assert!(registry.journal().wait_until(PATIENCE, notified).await);
    let sent = registry.journal().notifications();
    let echo = sent.iter().find(|sent| sent.report.path == "group/old").unwrap();
    assert!(format!("{:?}", echo.outcome).contains("404"), "{echo:?}");
    assert_eq!(row(&stack, "group/old").await.unwrap(), Value::Null);
    until_state(&stack, "group/new", "import_done").await.unwrap();
    assert_eq!(history(&stack, "group/new").await.unwrap().len(), 4);
    verify(&stack.old_storage().unwrap(), &registry.new_storage(), "group/new").unwrap();
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_there_already_is_left_as_it_is_in_every_state() {
    let stack = stack().await;
    // Nothing is to move by itself.
    sql(&stack, "UPDATE migration_settings SET enabled = false").await.unwrap();
    for state in STATES {
        given(&stack, &format!("group/{state}"), state, Some(Uuid::new_v4())).await.unwrap();
    }
    let all = || async {
        let mut all = Vec::new();
        for state in STATES {
            all.push(row(&stack, &format!("group/{state}")).await.unwrap());
        }
        all
    };
    let before = all().await;
    let list: Value = STATES
        .map(
            |state| json!({"path": format!("group/{state}"), "priority": 9, "tags_count": 7, "plan": "gold"}),
        )
        .into_iter()
        .collect();

    let (status, reply) = post(&stack, "/repositories", list).await;

    assert_eq!((status, &reply["registered"], &reply["existing"]), (200, &json!(0), &json!(7)), "{reply}");
    assert_eq!(all().await, before);
    stack.stop().await.unwrap();
}
