use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::register_catalogue;
use crate::{
    driver::scripted::{rows, writer},
    endpoint::scripted_server::{Reply, ScriptedServer},
    registry::tests::client,
    store::Store,
};

fn page(names: &Value) -> Reply {
    Reply::answer(200, json!({"repositories": names}).to_string())
}

fn tags(tags: &[&str]) -> Reply {
    Reply::answer(200, json!({"name": "x", "tags": tags}).to_string())
}

struct Called {
    reply: Value,
    /// What was asked of the database.
    statements: Vec<String>,
}

/// One call against a registry and a database that answer so.
async fn call(after: Option<&str>, registry: Vec<Reply>, database: Vec<Reply>) -> Called {
    let registry = ScriptedServer::start(registry).await;
    let database = ScriptedServer::start(database).await;
    let store = Store::new(writer(&database.url()));
    let deadline = Instant::now() + Duration::from_secs(60);
    let after = after.map(str::to_owned);
    let done = register_catalogue(&store, &client(&registry.url()), after, deadline).await.unwrap();
    let statements = database.received().into_iter().map(|request| request.body).collect();
    Called { reply: serde_json::to_value(done).unwrap(), statements }
}

#[tokio::test]
async fn registers_each_name_once_and_refuses_the_others_by_name() {
    let listed = json!(["team/x", "Team/x", "team/x", 7, "b"]);
    let called = call(
        None,
        vec![page(&listed), tags(&["v1", "v2"])],
        vec![rows(&[json!("team/x"), json!("b")]), rows(&[json!(2)])],
    )
    .await;
    assert_eq!(
        called.reply,
        json!({
            "registered": 2, "existing": 0, "tags_unknown": 0, "refused_count": 2, "refused": ["7", "Team/x"],
            "ended": "complete", "next": null, "last": "b",
        })
    );
    let sent: Value = serde_json::from_str(&called.statements[0]).unwrap();
    assert_eq!(sent["parameters"][0]["value"]["stringValue"], json!(r#"["team/x","b"]"#), "{sent}");
}

#[tokio::test]
async fn shows_no_more_refused_names_than_fit_an_answer() {
    let names: Vec<String> = (0..4_000).map(|number| format!("{}{number}", "\u{1}".repeat(300))).collect();
    let called = call(None, vec![page(&json!(names))], vec![rows(&[])]).await;
    assert_eq!(called.reply["refused_count"], json!(4_000));
    assert!(called.reply.to_string().len() < 1_000_000);
    assert!(called.statements.is_empty(), "{:?}", called.statements);
}

#[tokio::test]
async fn passes_over_names_up_to_after_without_the_database() {
    let names: Vec<String> = (0..1000).map(|number| format!("group/{number:04}")).collect();
    let database = vec![rows(&[])];
    let called = call(Some("group/0974"), vec![page(&json!(names))], database).await;
    assert_eq!((&called.reply["existing"], &called.reply["ended"]), (&json!(25), &json!("complete")));
    assert_eq!(called.statements.len(), 1);
}

#[tokio::test]
async fn tells_an_empty_catalogue_with_its_reason() {
    let called = call(None, vec![page(&json!([]))], vec![rows(&[])]).await;
    assert_eq!((&called.reply["ended"], &called.reply["next"]), (&json!("empty"), &Value::Null));
    assert!(called.reply["note"].as_str().unwrap().contains("migration mode"), "{}", called.reply);
    // At the end of one that was not.
    let called = call(Some("z"), vec![page(&json!([]))], vec![rows(&[])]).await;
    assert_eq!(called.reply["ended"], json!("complete"));
}

#[tokio::test]
async fn says_why_a_list_is_not_complete_and_where_to_go_on() {
    let first = |link: &str| page(&json!(["a"])).with("link", format!("<{link}>; rel=\"next\""));
    let refusal =
        || Reply::answer(429, r#"{"errors":[{"code":"TOOMANYREQUESTS"}]}"#).with("retry-after", "7");
    for (second, link, ended, next) in [
        (refusal(), "?last=a", "registry_refused", json!("a")),
        (refusal(), "/list?page=2", "registry_refused", json!("/list?page=2")),
        (Reply::answer(503, ""), "?last=a", "registry_unavailable", json!("a")),
        (Reply::answer(200, "<html>"), "?last=a", "not_a_list", json!("a")),
        (page(&json!(["a"])), "?last=a", "begins_again", Value::Null),
        (page(&json!(["b"])), "http://192.0.2.1/", "foreign_link", Value::Null),
    ] {
        let database = vec![rows(&[json!("a")]), rows(&[json!(1)])];
        let called = call(None, vec![first(link), tags(&["v1"]), second], database).await;
        assert_eq!((&called.reply["ended"], &called.reply["next"]), (&json!(ended), &next), "{ended} {link}");
        assert_eq!((&called.reply["registered"], &called.reply["last"]), (&json!(1), &json!("a")), "{ended}");
        let refused = ended == "registry_refused";
        assert_eq!(called.reply["registry_status"] == 429, refused, "{}", called.reply);
        assert_eq!(called.reply["retry_after_seconds"] == 7, refused, "{}", called.reply);
    }
}
