//! What operators see, and from where.

use local::{Function, READER_ARN, Stack, WRITER_ARN};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use suite::{given, stack};

async fn get(stack: &Stack, url: &str) -> (StatusCode, Value) {
    let answer = stack.client().as_operator(Method::GET, url).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

fn paths(page: &Value) -> Vec<&str> {
    page["repositories"].as_array().unwrap().iter().map(|row| row["path"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_names_what_it_has_seen_is_never_shown_less() {
    let stack = stack().await.unwrap();
    stack.register(&["group/image".to_owned()]).await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    stack.pair().pause_replay().await.unwrap();
    suite::sql(&stack, "UPDATE container_repositories SET version = version + 6, priority = 1")
        .await
        .unwrap();
    let newest = suite::row(&stack, "group/image").await.unwrap()["version"].as_i64().unwrap();

    let (_, any) = get(&stack, "/migrations/status/group/image").await;
    assert_eq!((any["version"].as_i64(), any["served_by"].as_str()), (Some(newest - 6), Some("reader")));
    let (_, seen) = get(&stack, &format!("/migrations/status/group/image?min_version={newest}")).await;
    assert_eq!(
        (seen["version"].as_i64(), seen["served_by"].as_str()),
        (Some(newest), Some("writer_behind_floor"))
    );
    let (status, problem) =
        get(&stack, &format!("/migrations/status/group/image?min_version={}", newest + 1)).await;
    assert_eq!((status, problem["version"].as_i64()), (StatusCode::BAD_REQUEST, Some(newest)));

    stack.pair().resume_replay().await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    let (_, replayed) = get(&stack, &format!("/migrations/status/group/image?min_version={newest}")).await;
    assert_eq!(
        (replayed["version"].as_i64(), replayed["served_by"].as_str()),
        (Some(newest), Some("reader"))
    );
    let log = stack.functions().log(Function::MigrationStatus);
    assert!(log.contains("stale_read_avoided"), "{log}");
    stack.stop().await.unwrap();
}

async fn operate(stack: &Stack, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
    let request = stack.client().as_operator(method, path);
    let request = match body {
        Some(body) => request.json(body),
        None => request,
    };
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// What is shown of `group/image` to a caller who names a version, by `min_version` and by its tag.
async fn shown(stack: &Stack, version: &Value) -> [(u16, Value); 2] {
    let path = "/migrations/status/group/image";
    let ask = |url: String, tag: Option<String>| {
        let request = stack.client().as_operator(Method::GET, &url);
        let request = match tag {
            Some(tag) => request.header(header::IF_NONE_MATCH, tag),
            None => request,
        };
        async {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.json().await.unwrap_or_default())
        }
    };
    [
        ask(format!("{path}?min_version={version}"), None).await,
        ask(path.to_owned(), Some(format!("\"{version}\""))).await,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_repository_is_not_shown_by_a_lagging_reader() {
    let stack = stack().await.unwrap();
    // Nothing is to move by itself.
    suite::sql(&stack, "UPDATE migration_settings SET enabled = false").await.unwrap();
    stack.register(&["group/image".to_owned()]).await.unwrap();
    suite::sql(&stack, "UPDATE container_repositories SET version = version + 7").await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    stack.pair().pause_replay().await.unwrap();

    let before = suite::row(&stack, "group/image").await.unwrap()["version"].as_i64().unwrap();
    let (status, removed) = operate(&stack, Method::DELETE, "/repositories/group/image", None).await;
    assert_eq!((status, &removed["version"]), (200, &json!(before + 1)), "{removed}");
    for (status, reply) in shown(&stack, &removed["version"]).await {
        assert_eq!(status, 404, "{reply}");
    }

    // Registered again it is a new row, whatever versions the former one had.
    let again = json!([{"path": "group/image"}]);
    let (_, reply) = operate(&stack, Method::POST, "/repositories", Some(&again)).await;
    assert_eq!(reply["registered"], 1, "{reply}");
    let new = suite::row(&stack, "group/image").await.unwrap();
    assert!(new["version"].as_i64().unwrap() > before + 1, "{new}");
    let [(status, reply), (by_tag, _)] = shown(&stack, &new["version"]).await;
    assert_eq!((status, &reply["version"]), (200, &new["version"]), "{reply}");
    assert_eq!(by_tag, 304);
    // A caller who has seen only the former row must not read that it is unchanged.
    let [(status, reply), (by_tag, _)] = shown(&stack, &removed["version"]).await;
    assert_eq!((status, &reply["version"]), (200, &new["version"]), "{reply}");
    assert_eq!(by_tag, 200);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_read_on_the_reader_by_state_and_page() {
    let stack = stack().await.unwrap();
    for (path, state) in [
        ("a/one", "importing"),
        ("a/two", "import_done"),
        ("b/three", "import_done"),
        ("c/four", "import_done"),
    ] {
        given(&stack, path, state, None).await.unwrap();
    }
    stack.pair().wait_until_replayed().await.unwrap();
    let (_, all) = get(&stack, "/migrations").await;
    assert_eq!(paths(&all), ["a/one", "a/two", "b/three", "c/four"]);
    assert!(all["next"].is_null());
    let (_, first) = get(&stack, "/migrations?state=import_done&limit=2").await;
    assert_eq!((paths(&first), first["next"].as_str()), (vec!["a/two", "b/three"], Some("b/three")));
    let (_, second) = get(&stack, "/migrations?state=import_done&limit=2&after=b/three").await;
    assert_eq!((paths(&second), second["next"].as_str()), (vec!["c/four"], None));
    for wrong in [
        "state=done",
        "limit=0",
        "limit=501",
        "limit=x",
        "after=..",
        "min_version=3",
        "state=default&state=default",
        "prefix=a%25",
        "older_than_seconds=-1",
        "older_than_seconds=1h",
    ] {
        let (status, problem) = get(&stack, &format!("/migrations?{wrong}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
        assert!(problem["message"].as_str().unwrap().starts_with("400 Bad request - "), "{wrong}: {problem}");
    }
    let journal = stack.data_api().journal();
    let rows =
        journal.iter().filter(|call| call.sql.as_deref().is_some_and(|sql| !sql.contains("WITH itself")));
    let arns: Vec<_> = rows.map(|call| call.arn.as_deref()).collect();
    assert!(arns.iter().all(|arn| *arn == Some(READER_ARN)), "the writer is not asked for rows: {arns:?}");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_operators_see_anything() {
    let stack = stack().await.unwrap();
    given(&stack, "group/image", "importing", None).await.unwrap();
    for url in [
        "/migrations",
        "/migrations/summary",
        "/migrations/status/group/image",
        "/migrations/history/group/image",
    ] {
        let answer = stack.client().request(Method::GET, url).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert!(answer.headers().contains_key("www-authenticate"));
    }
    for url in ["/migrations/status/group/unknown", "/migrations/history/group/unknown"] {
        let (status, problem) = get(&stack, url).await;
        assert_eq!((status, problem["status"].as_i64()), (StatusCode::NOT_FOUND, Some(404)), "{url}");
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_role_can_only_select_on_the_writer_too() {
    let stack = stack().await.unwrap();
    let client = suite::primary(&stack).await.unwrap();
    client.batch_execute("SET ROLE migration_reader").await.unwrap();
    for table in [
        "container_repositories",
        "migration_slots",
        "migration_transitions",
        "migration_settings",
        "migration_settings_changes",
        "replica_mark",
        "replica_mark_times",
    ] {
        client.batch_execute(&format!("SELECT FROM {table}")).await.unwrap();
        let refused = client.batch_execute(&format!("DELETE FROM {table}")).await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "42501", "{table}");
    }
    let functions = stack.environment(Function::MigrationStatus);
    assert_eq!(functions["WRITER_ARN"], WRITER_ARN);
    assert!(!functions.contains_key("WRITER_SECRET_ARN"));
    stack.stop().await.unwrap();
}
