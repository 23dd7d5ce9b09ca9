//! What is to be expected of a repository.

use local::local_registry::{Effect, Point, Rule};
use serde_json::{Value, json};
use suite::{given, repositories, sql};

use super::{call, stack, without_registry};

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_are_told_and_what_happens_next() {
    let stack = stack().await;
    repositories(&stack, &["group/image"]).await.unwrap();
    stack.registry().unwrap().rules().add(Rule::new(Effect::Hold { at: Point::Work }));
    let explain = || call(&stack, "GET", "/migrations/explain/group/image", Value::Null);
    let (status, reply) = explain().await;
    assert_eq!((status, &reply["expected"]["next"]), (200, &json!("sweep")), "{reply}");
    assert_eq!((&reply["registry"]["answered"], &reply["registry"]["status"]), (&json!(true), &Value::Null));

    stack.client().start("group/image").await.unwrap();

    let (_, reply) = explain().await;
    assert_eq!(reply["registry"]["status"], "pre_import_in_progress", "{reply}");
    assert_eq!(reply["repository"]["migration_state"], "pre_importing");
    assert_eq!((&reply["expected"]["next"], &reply["served_by"]), (&json!("notification"), &json!("writer")));
    assert!(
        reply["expected"]["at"].is_string() && reply["expected"]["text"].as_str().unwrap().contains("guard")
    );

    let cut_off = without_registry(&stack).await;
    let request =
        stack.client_of(&cut_off).as_operator(reqwest::Method::GET, "/migrations/explain/group/image");
    let reply: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&reply["registry"]["answered"], &reply["expected"]["next"]),
        (&json!(false), &json!("notification"))
    );
    cut_off.stop();
    assert_eq!(call(&stack, "GET", "/migrations/explain/group/none", Value::Null).await.0, 404);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_of_a_start_is_told() {
    let stack = stack().await;
    for state in ["default", "import_aborted", "pre_import_done", "import_done", "import_skipped"] {
        given(&stack, &format!("group/{state}"), state, None).await.unwrap();
    }
    let next = async |state: &str| {
        let (_, reply) =
            call(&stack, "GET", &format!("/migrations/explain/group/{state}"), Value::Null).await;
        reply["expected"]["next"].as_str().unwrap().to_owned()
    };
    assert_eq!(next("import_done").await, "nothing");
    assert_eq!(next("import_skipped").await, "operator");
    assert_eq!(
        (next("pre_import_done").await, next("import_aborted").await),
        ("sweep".to_owned(), "sweep".to_owned())
    );
    for (setting, expected) in [
        ("capacity = 1", "slot"),
        ("waiting_time_seconds = 3600, capacity = 2", "slot"),
        ("enabled = false", "switch"),
        ("denied_root_namespaces = '{group}'", "settings"),
    ] {
        sql(&stack, "UPDATE migration_slots SET freed_at = now() WHERE repository_id IS NULL").await.unwrap();
        sql(&stack, &format!("UPDATE migration_settings SET {setting}")).await.unwrap();
        assert_eq!(next("default").await, expected, "{setting}");
    }
    assert_eq!(next("pre_import_done").await, "switch");
    stack.stop().await.unwrap();
}
