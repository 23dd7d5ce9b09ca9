//! Repositories made known, and forgotten.

use serde_json::{Value, json};
use suite::{given, history, primary, repositories, row, until_state};
use uuid::Uuid;

use super::{call, post, stack};

#[tokio::test(flavor = "multi_thread")]
async fn thousands_are_registered_at_once_and_again_without_a_change() {
    let stack = stack().await;
    given(&stack, "group/image7", "import_done", None).await.unwrap();
    let before = row(&stack, "group/image7").await.unwrap();
    let lines: String = (0..3000)
        .map(|number| {
            format!(
                "{}\n",
                json!({"path": format!("group/image{number}"), "tags_count": number, "plan": "free"})
            )
        })
        .collect();
    let send = || async {
        let request = stack.client().as_operator(reqwest::Method::POST, "/repositories");
        let request = request.header("content-type", "application/x-ndjson").body(lines.clone());
        request.send().await.unwrap().json::<Value>().await.unwrap()
    };
    let calls = suite::data_api_calls(&stack);

    let first = send().await;

    assert_eq!((&first["registered"], &first["existing"]), (&json!(2999), &json!(1)), "{first}");
    assert_eq!(suite::data_api_calls(&stack) - calls, 6, "500 in each");
    assert_eq!(row(&stack, "group/image7").await.unwrap(), before, "what is there stays as it is");
    let new = row(&stack, "group/image2999").await.unwrap();
    assert_eq!((&new["tags_count"], &new["plan"], suite::changes(&new)), (&json!(2999), &json!("free"), 0));
    let again = send().await;
    assert_eq!((&again["registered"], &again["existing"]), (&json!(0), &json!(3000)), "{again}");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn registers_an_array_and_names_refusals_by_place() {
    let stack = stack().await;
    let list = json!([
        {"path": "group/good", "priority": 5},
        {"path": "group//bad"},
        {"path": "group/tags", "tags_count": -1},
        {"path": "group/good"},
        {"path": "Group/Upper"},
    ]);

    let (status, reply) = post(&stack, "/repositories", list).await;

    assert_eq!((status, &reply["registered"], &reply["existing"]), (200, &json!(1), &json!(1)), "{reply}");
    let places: Vec<_> =
        reply["errors"].as_array().unwrap().iter().map(|error| error["line"].clone()).collect();
    assert_eq!(places, [json!(2), json!(3), json!(5)]);
    assert_eq!(reply["errors"][2]["message"], r#"path: the path is not in lower case: "Group/Upper""#);
    assert_eq!(row(&stack, "group/upper").await.unwrap(), Value::Null);
    assert_eq!(row(&stack, "group/good").await.unwrap()["priority"], 5);

    let (status, reply) = post(&stack, "/repositories", json!([{"path": "/"}])).await;
    assert_eq!((status, &reply["type"]), (400, &json!("urn:registry-migration:nothing-valid")), "{reply}");
    assert_eq!(reply["errors"][0]["line"], 1);
    assert_eq!(post(&stack, "/repositories", json!([])).await.1["registered"], 0);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_wrong_list_without_a_database_call() {
    let stack = stack().await;
    let calls = suite::data_api_calls(&stack);
    let send = |content_type: &'static str, body: Vec<u8>| {
        let request = stack.client().as_operator(reqwest::Method::POST, "/repositories");
        async move {
            request.header("content-type", content_type).body(body).send().await.unwrap().status().as_u16()
        }
    };
    assert_eq!(send("text/plain", b"group/image".to_vec()).await, 415);
    assert_eq!(send("application/json", b"[{".to_vec()).await, 400);
    assert_eq!(send("application/json", vec![]).await, 400);
    assert_eq!(send("application/x-ndjson", b"\xff\xfe".to_vec()).await, 400);
    assert_eq!(send("application/json", vec![b' '; 4 * 1024 * 1024 + 1]).await, 413);
    assert_eq!(suite::data_api_calls(&stack), calls);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_wants_the_operators_token_before_it_asks_anybody() {
    let stack = stack().await;
    let calls = suite::data_api_calls(&stack);
    for (method, path) in [
        ("POST", "/repositories"),
        ("POST", "/repositories/from-catalog"),
        ("DELETE", "/repositories/group/image"),
        ("DELETE", "/repositories/from-catalog"),
        ("POST", "/migrations/retry/group/image"),
        ("POST", "/migrations/cancel/group/image"),
        ("POST", "/migrations/skip/group/image"),
        ("POST", "/migrations/reopen/group/image"),
        ("POST", "/migrations/reopen"),
        ("GET", "/migrations/explain/group/image"),
        ("GET", "/settings"),
        ("PATCH", "/settings"),
    ] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let answer = stack.client().request(method.clone(), path).body("{}").send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 401, "{method} {path}");
    }
    assert_eq!(suite::data_api_calls(&stack), calls);
    assert!(stack.registry().unwrap().journal().requests().is_empty());
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_in_progress_can_be_removed_and_registered_anew() {
    let stack = stack().await;
    for state in ["default", "import_done", "import_aborted", "import_skipped"] {
        let path = format!("group/{state}");
        given(&stack, &path, state, None).await.unwrap();
        let (status, removed) = call(&stack, "DELETE", &format!("/repositories/{path}"), Value::Null).await;
        assert_eq!((status, &removed["migration_state"]), (200, &json!(state)));
        assert_eq!(row(&stack, &path).await.unwrap(), Value::Null);
        assert_eq!(call(&stack, "DELETE", &format!("/repositories/{path}"), Value::Null).await.0, 404);
    }
    let lines =
        primary(&stack).await.unwrap().query_one("SELECT count(*) FROM migration_transitions", &[]).await;
    assert_eq!(lines.unwrap().get::<_, i64>(0), 0, "the history goes with it");
    assert_eq!(
        post(&stack, "/repositories", json!([{"path": "group/import_done"}])).await.1["registered"],
        1
    );
    assert_eq!(row(&stack, "group/import_done").await.unwrap()["migration_state"], "default");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn removes_nothing_in_progress() {
    let stack = stack().await;
    repositories(&stack, &["group/image"]).await.unwrap();
    for state in ["pre_importing", "pre_import_done", "importing"] {
        let path = format!("group/{state}");
        given(&stack, &path, state, Some(Uuid::new_v4())).await.unwrap();
        let before = (row(&stack, &path).await.unwrap(), history(&stack, &path).await.unwrap());
        let (status, problem) = call(&stack, "DELETE", &format!("/repositories/{path}"), Value::Null).await;
        assert_eq!((status, &problem["migration_state"]), (409, &json!(state)));
        assert_eq!((row(&stack, &path).await.unwrap(), history(&stack, &path).await.unwrap()), before);
    }
    // Renamed: what the old name's import still tells finds nobody, and the new name begins anew.
    stack.client().start("group/image").await.unwrap();
    until_state(&stack, "group/image", "import_done").await.unwrap();
    assert_eq!(call(&stack, "DELETE", "/repositories/group/image", Value::Null).await.0, 200);
    let late = "/internal/registry/repositories/group/image/migration/status";
    let late =
        stack.client().as_registry(reqwest::Method::PUT, late).json(&json!({"status": "import_complete"}));
    assert_eq!(late.send().await.unwrap().status().as_u16(), 404);
    stack.stop().await.unwrap();
}
