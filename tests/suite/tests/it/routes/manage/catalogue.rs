//! Repositories registered from the registry's own catalogue.

use local::local_registry::storage::ImageOptions;
use serde_json::{Value, json};
use suite::{primary, row};

use super::{post, stack, without_registry};

const ADDRESS: &str = "/repositories/from-catalog";

#[tokio::test(flavor = "multi_thread")]
async fn registers_the_catalogue_by_pages_with_tag_counts() {
    let stack = stack().await;
    let storage = stack.old_storage().unwrap();
    stack.registry().unwrap().set_migration_mode(false);
    for number in 0..130_u64 {
        let tags: Vec<String> = (0..number % 4 + 1).map(|tag| format!("v{tag}")).collect();
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        storage.write_image(&format!("group/image{number:03}"), &tags, &ImageOptions::small(number)).unwrap();
    }

    let (status, mut reply) = post(&stack, ADDRESS, Value::Null).await;
    assert_eq!(status, 200, "{reply}");
    let mut registered = reply["registered"].as_u64().unwrap();
    // A slow machine takes more than one call's time.
    while reply["ended"] != "complete" {
        reply = post(&stack, ADDRESS, json!({"after": reply["next"]})).await.1;
        registered += reply["registered"].as_u64().unwrap();
    }

    assert_eq!(registered, 130);
    assert_eq!((&reply["existing"], &reply["tags_unknown"]), (&json!(0), &json!(0)));
    assert_eq!((&reply["ended"], &reply["next"]), (&json!("complete"), &Value::Null));
    let wrong = "SELECT count(*) FROM container_repositories
        WHERE tags_count IS DISTINCT FROM right(path, 3)::integer % 4 + 1";
    assert_eq!(primary(&stack).await.unwrap().query_one(wrong, &[]).await.unwrap().get::<_, i64>(0), 0);

    let (_, again) = post(&stack, ADDRESS, json!({"after": "group/image119"})).await;
    assert_eq!((&again["registered"], &again["existing"]), (&json!(0), &json!(10)), "{again}");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_down_leaves_the_catalogue_unregistered() {
    let stack = stack().await;
    suite::push_image(&stack.old_storage().unwrap(), "group/image").unwrap();
    let cut_off = without_registry(&stack).await;

    let answer = stack.client_of(&cut_off).as_operator(reqwest::Method::POST, ADDRESS).send().await.unwrap();

    assert_eq!(answer.status().as_u16(), 503);
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["type"], "urn:registry-migration:registry-unavailable", "{problem}");
    assert_eq!(row(&stack, "group/image").await.unwrap(), Value::Null);
    cut_off.stop();
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_continuation_is_refused() {
    let stack = stack().await;
    for body in [json!({"after": ""}), json!({"after": 7}), json!({"last": "a"})] {
        assert_eq!(post(&stack, ADDRESS, body.clone()).await.0, 400, "{body}");
    }
    stack.stop().await.unwrap();
}
