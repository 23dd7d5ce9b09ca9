//! What a notification must prove before a row is changed by it, and what is done where it proves nothing.

use local::{
    Function, Stack,
    local_registry::{Effect, Operation, Rule, When},
};
use serde_json::{Value, json};
use shared::{
    endpoint::Notification,
    migration::{AttemptId, NotificationStatus, RepositoryPath},
    store::{Store, Verdict},
};
use suite::{PATIENCE, given, history, primary, repositories, row, sql, stack, until, until_state, writer};
use tokio::time::Instant;
use uuid::Uuid;

/// Every start is accepted and nothing is done; the registry says this of the repository.
fn says(stack: &Stack, path: &str, status: &str) {
    let rules = stack.registry().unwrap().rules();
    let answer = |status, body| Effect::Answer { status, code: None, detail: None, body, when: When::Before };
    let body = json!({ "name": "image", "path": path, "status": status, "detail": status }).to_string();
    rules.clear();
    rules.add(Rule::new(answer(202, None)).operation(Operation::Start));
    rules.add(Rule::new(answer(200, Some(body))).operation(Operation::Status).repository(path));
}

/// Starts a repository; the attempt.
async fn started(stack: &Stack, path: &str) -> String {
    repositories(stack, &[path]).await.unwrap();
    let started: Value = stack.client().start(path).await.unwrap().json().await.unwrap();
    started["attempt"].as_str().unwrap_or_else(|| panic!("{path} did not start: {started}")).to_owned()
}

/// Lets a repository be gone and registered anew, and starts it again; the attempt of the former row.
async fn started_again(stack: &Stack, path: &str) -> String {
    let former = started(stack, path).await;
    sql(stack, &format!("DELETE FROM container_repositories WHERE path = '{path}'")).await.unwrap();
    assert_ne!(started(stack, path).await, former);
    former
}

/// Sends a notification that proves nothing, and waits until the registry has been asked about it.
async fn doubted(stack: &Stack, path: &str, status: &str, id: Option<&str>) {
    let answer = stack.client().notify(path, status, id).await.unwrap();
    assert_eq!(answer.status().as_u16(), 200, "{path}");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["verdict"], "unverified", "{path}: {body}");
    let reconciled = |line: &str| line.contains("reconciled a repository") && line.contains(path);
    until("the registry has been asked", || async {
        Ok(stack.functions().log(Function::RegistryNotification).lines().any(reconciled))
    })
    .await
    .unwrap();
}

fn asked_to_start(stack: &Stack, path: &str) -> Vec<String> {
    let requests = stack.registry().unwrap().journal().requests().into_iter();
    requests
        .filter(|request| request.operation == Operation::Start && request.path.as_deref() == Some(path))
        .map(|request| request.request_id.unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn asks_the_registry_what_a_notification_does_not_prove() {
    let stack = stack().await.unwrap();
    // So that a slot that becomes free is not filled by what this test is about to start.
    sql(&stack, "UPDATE migration_settings SET created_before = '2000-01-01'").await.unwrap();
    let started_line = "start_pre_import default>pre_importing".to_owned();
    let unverified = |status: &str| format!("{status} pre_importing>pre_importing (unverified)");

    // The end of a former row's attempt, which runs no more.
    says(&stack, "group/former", "pre_import_in_progress");
    let former = started_again(&stack, "group/former").await;
    doubted(&stack, "group/former", "import_failed", Some(&former)).await;
    let lines = [started_line.clone(), unverified("import_failed")];
    assert_eq!(history(&stack, "group/former").await.unwrap(), lines);
    assert_eq!(row(&stack, "group/former").await.unwrap()["retries_count"], 0);

    // The final step's end, where nobody has asked for it; whatever the attempt.
    says(&stack, "group/not-asked", "pre_import_in_progress");
    let own = started(&stack, "group/not-asked").await;
    for id in [None, Some(own.as_str())] {
        doubted(&stack, "group/not-asked", "import_complete", id).await;
    }
    let lines = [started_line.clone(), unverified("import_complete"), unverified("import_complete")];
    assert_eq!(history(&stack, "group/not-asked").await.unwrap(), lines);

    says(&stack, "group/done", "import_complete");
    started(&stack, "group/done").await;
    doubted(&stack, "group/done", "import_complete", None).await;
    until_state(&stack, "group/done", "import_done").await.unwrap();

    says(&stack, "group/promoted", "pre_import_complete");
    started(&stack, "group/promoted").await;
    doubted(&stack, "group/promoted", "import_complete", None).await;
    until_state(&stack, "group/promoted", "importing").await.unwrap();
    assert_eq!(asked_to_start(&stack, "group/promoted").len(), 2, "the final step is asked for");

    // The registry still tells of the former row's failure: this one is asked for again, and nothing is counted.
    says(&stack, "group/failed", "pre_import_failed");
    let former = started_again(&stack, "group/failed").await;
    doubted(&stack, "group/failed", "pre_import_failed", Some(&former)).await;
    let after = row(&stack, "group/failed").await.unwrap();
    assert_eq!((&after["migration_state"], &after["retries_count"]), (&json!("pre_importing"), &json!(0)));
    let asked = asked_to_start(&stack, "group/failed");
    assert_eq!((asked.len(), asked.last().map(String::as_str)), (3, after["attempt"].as_str()), "{asked:?}");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_a_row_as_it_is_once_its_lock_is_had() {
    let stack = stack().await.unwrap();
    let store: Store<Notification> = Store::new(writer(&stack));
    let until_then = Instant::now() + PATIENCE;
    let id = || AttemptId::new(Uuid::new_v4());
    for (slot, from) in [(51, "default"), (52, "import_aborted")] {
        let path = format!("group/{from}");
        given(&stack, &path, from, None).await.unwrap();
        // A start that has not committed yet.
        let holder = primary(&stack).await.unwrap();
        let start = format!(
            "BEGIN;
             UPDATE migration_slots SET repository_id = (SELECT id FROM container_repositories WHERE path = '{path}')
                 WHERE slot = {slot};
             UPDATE container_repositories SET migration_state = 'pre_importing', slot = {slot}, aborted_at = NULL,
                 aborted_in_state = NULL, resume_state = '{from}', pre_import_started_at = now(),
                 attempt = gen_random_uuid(), version = version + 1, retries_count = 1 WHERE path = '{path}'"
        );
        holder.batch_execute(&start).await.unwrap();
        let (waiting_store, name) = (store.clone(), RepositoryPath::parse(&path).unwrap());
        let notified = tokio::spawn(async move {
            let status = NotificationStatus::PreImportComplete;
            waiting_store.apply_notification(&name, status, None, None, id(), until_then).await
        });
        let observer = primary(&stack).await.unwrap();
        until("the notification waits for the row", || async {
            let waiting = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
            Ok(observer.query_one(waiting, &[]).await?.get(0))
        })
        .await
        .unwrap();
        holder.batch_execute("COMMIT").await.unwrap();

        let changed = notified.await.unwrap().unwrap().unwrap();
        assert_eq!(changed.verdict, Verdict::Applied, "{from}");
        let row = row(&stack, &path).await.unwrap();
        assert_eq!(
            (&row["migration_state"], &row["slot"], &row["retries_count"]),
            (&json!("importing"), &json!(slot), &json!(1)),
            "{from}"
        );
    }

    // What proves nothing changes nothing, and makes the row the guard's next one.
    let path = RepositoryPath::parse("group/default").unwrap();
    let before = row(&stack, "group/default").await.unwrap();
    let status = NotificationStatus::ImportFailed;
    let doubted = store.apply_notification(&path, status, Some(id()), None, id(), until_then).await;
    assert_eq!(doubted.unwrap().unwrap().verdict, Verdict::Unverified);
    let after = row(&stack, "group/default").await.unwrap();
    assert_eq!(after["version"], before["version"]);
    let client = primary(&stack).await.unwrap();
    let due = "SELECT next_check_at <= now() FROM container_repositories WHERE path = 'group/default'";
    assert!(client.query_one(due, &[]).await.unwrap().get::<_, bool>(0));
    stack.stop().await.unwrap();
}
