//! Tags that a registry leaves out are missed.

use local::{
    Function, Stack, StackOptions,
    local_registry::{
        Effect, Rule, Step,
        storage::{ImageOptions, Storage},
    },
};
use serde_json::{Value, json};
use suite::{history, options, primary, push_image, row, sql, until, until_state};

use super::{call, post};

/// Two tags, of two images; the second one lacks its config.
fn push_broken_image(storage: &Storage, path: &str) {
    storage.write_image(path, &["v1"], &ImageOptions::small(1)).unwrap();
    storage.write_image(path, &["v2"], &ImageOptions::small(2)).unwrap();
    let broken = storage.tags(path).unwrap().remove("v2").unwrap();
    let manifest: Value = serde_json::from_slice(&storage.read_blob(&broken).unwrap()).unwrap();
    let config = serde_json::from_value(manifest["config"]["digest"].clone()).unwrap();
    std::fs::remove_file(storage.blob_path(&config)).unwrap();
}

async fn stack() -> Stack {
    let functions = vec![
        Function::StartMigration,
        Function::RegistryNotification,
        Function::ManageMigrations,
        Function::MigrationStatus,
        Function::GuardMigrations,
    ];
    Stack::start(StackOptions { functions, ..options() }).await.unwrap()
}

async fn until_tags(stack: &Stack, path: &str, check: &str) -> Value {
    let reached = || async { Ok(row(stack, path).await?["tags_check"] == check) };
    if let Err(error) = until(&format!("{path} is {check}"), reached).await {
        panic!("{error}: {}", row(stack, path).await.unwrap());
    }
    row(stack, path).await.unwrap()
}

async fn lists(stack: &Stack) -> i64 {
    let count = "SELECT count(*) FROM migration_tag_lists";
    primary(stack).await.unwrap().query_one(count, &[]).await.unwrap().get(0)
}

/// What is shown to an operator.
async fn shown(stack: &Stack, address: &str) -> Value {
    stack.pair().wait_until_replayed().await.unwrap();
    let (status, shown) = call(stack, "GET", address, Value::Null).await;
    assert_eq!(status, 200, "{shown}");
    shown
}

#[tokio::test(flavor = "multi_thread")]
async fn misses_a_left_out_tag_until_an_operator_accepts_it() {
    let stack = stack().await;
    let storage = stack.old_storage().unwrap();
    push_broken_image(&storage, "group/broken");
    push_image(&storage, "group/whole").unwrap();
    stack.register(&["group/broken".to_owned(), "group/whole".to_owned()]).await.unwrap();
    for path in ["group/broken", "group/whole"] {
        stack.client().start(path).await.unwrap();
        until_state(&stack, path, "import_done").await.unwrap();
    }

    // The state stays, and what is known of the tags is in the row, its history, the list and the summary.
    until_tags(&stack, "group/whole", "tags_complete").await;
    let found = until_tags(&stack, "group/broken", "tags_missing").await;
    assert_eq!(found["missing_tags"], json!({"count": 1, "names": ["v2"]}));
    assert_eq!(found["migration_state"], "import_done");
    let last = history(&stack, "group/broken").await.unwrap().pop().unwrap();
    assert_eq!(last, "tags_missing import_done>import_done");
    assert_eq!(lists(&stack).await, 0, "they are kept until they have been compared");
    let listed = shown(&stack, "/migrations?prefix=group/broken").await;
    assert_eq!(listed["repositories"][0]["missing_tags"]["names"], json!(["v2"]), "{listed}");
    let summary = shown(&stack, "/migrations/summary").await;
    assert_eq!(summary["tags"], json!({"missing": 1, "unverified": 0, "sample": ["group/broken"]}));

    let accept = "/migrations/accept/group/broken";
    assert_eq!(post(&stack, accept, json!({"reason": " "})).await.0, 400);
    let reason = json!({"reason": "nobody can pull it"});
    assert_eq!(post(&stack, "/migrations/accept/group/whole", reason.clone()).await.0, 409);
    assert_eq!(post(&stack, "/migrations/accept/group/none", reason.clone()).await.0, 404);
    let (status, accepted) = post(&stack, accept, reason.clone()).await;
    assert_eq!(
        (status, &accepted["tags_check"], &accepted["missing_tags"]),
        (200, &json!("tags_accepted"), &Value::Null)
    );
    assert_eq!(accepted["version"], json!(found["version"].as_i64().unwrap() + 1));
    let reply = shown(&stack, "/migrations/history/group/broken").await;
    let reply = reply["transitions"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&reply["event"], &reply["cause"], &reply["detail"]),
        (&json!("tags_accepted"), &json!("operator"), &reason["reason"])
    );
    assert_eq!(post(&stack, accept, reason).await.0, 409);
    assert_eq!(shown(&stack, "/migrations/summary").await["tags"]["missing"], 0);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn compares_tags_by_the_guard_after_a_lost_message() {
    let stack = stack().await;
    push_broken_image(&stack.old_storage().unwrap(), "group/broken");
    stack.register(&["group/broken".to_owned()]).await.unwrap();
    stack.registry().unwrap().rules().add(Rule::new(Effect::LoseNotification).step(Step::Final));
    stack.client().start("group/broken").await.unwrap();
    until_state(&stack, "group/broken", "importing").await.unwrap();
    until_tags(&stack, "group/broken", "tags_listed").await;
    let earlier =
        "UPDATE container_repositories SET import_started_at = import_started_at - interval '10 minutes',
        next_check_at = NULL";
    let guard = || stack.functions().invoke_on_schedule(Function::GuardMigrations);
    let finished = || async {
        sql(&stack, earlier).await?;
        stack.pair().wait_until_replayed().await?;
        guard().await?;
        Ok(row(&stack, "group/broken").await?["migration_state"] == "import_done")
    };
    until("the guard has found it done", finished).await.unwrap();
    // The process that takes a notification has a moment first.
    assert_eq!(row(&stack, "group/broken").await.unwrap()["tags_check"], "tags_listed");
    sql(&stack, "UPDATE container_repositories SET import_done_at = now() - interval '1 minute'")
        .await
        .unwrap();

    guard().await.unwrap();

    let found = row(&stack, "group/broken").await.unwrap();
    assert_eq!((&found["tags_check"], &found["missing_tags"]["count"]), (&json!("tags_missing"), &json!(1)));
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_no_tag_is_asked_for() {
    let stack = stack().await;
    sql(&stack, "UPDATE migration_settings SET verify_tags = false").await.unwrap();
    push_broken_image(&stack.old_storage().unwrap(), "group/broken");
    stack.register(&["group/broken".to_owned()]).await.unwrap();
    stack.client().start("group/broken").await.unwrap();
    until_state(&stack, "group/broken", "import_done").await.unwrap();
    assert_eq!(row(&stack, "group/broken").await.unwrap()["tags_check"], Value::Null);
    assert_eq!(lists(&stack).await, 0);
    stack.stop().await.unwrap();
}
