use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{client, deadline, path};
use crate::{
    endpoint::scripted_server::{Received, Reply, ScriptedServer},
    registry::{CatalogueAnswer, TagsAnswer},
};

const NEXT: &str = "</v2/_catalog?last=b&n=2>; rel=\"next\"";

fn names(names: &[&str]) -> Reply {
    Reply::answer(200, json!({"repositories": names}).to_string())
}

fn tags(tags: &[&str]) -> Reply {
    Reply::answer(200, json!({"name": "x", "tags": tags}).to_string())
}

fn targets(server: &ScriptedServer) -> Vec<String> {
    server.received().iter().map(|request| request.target.clone()).collect()
}

/// What the request's token allows.
fn access(request: &Received) -> Value {
    let claims = request.headers["authorization"].split('.').nth(1).unwrap().to_owned();
    serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()["access"].clone()
}

#[tokio::test]
async fn a_page_of_the_catalogue_says_whether_more_follow() {
    let server = ScriptedServer::start([
        names(&["a", "b"]).with("link", NEXT),
        names(&["c"]),
        Reply::answer(200, r#"{"repositories":null}"#),
    ])
    .await;
    let client = client(&server.url());
    let page = |names: &[&str], more| CatalogueAnswer::Page {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        more,
    };
    assert_eq!(client.catalogue(None, 2, deadline()).await, page(&["a", "b"], true));
    assert_eq!(client.catalogue(Some("a/b"), 2, deadline()).await, page(&["c"], false));
    assert_eq!(client.catalogue(Some("c"), 2, deadline()).await, page(&[], false));
    assert_eq!(targets(&server)[..2], ["/v2/_catalog?n=2", "/v2/_catalog?n=2&last=a%2Fb"]);
    let allowed = json!([{"type": "registry", "name": "catalog", "actions": ["*"]}]);
    assert_eq!(access(&server.received()[0]), allowed);
}

#[tokio::test]
async fn a_catalogue_that_does_not_go_on_is_not_followed_for_ever() {
    let server = ScriptedServer::start([names(&["a", "b"]).with("link", NEXT)]).await;
    let answer = client(&server.url()).catalogue(Some("b"), 2, deadline()).await;
    assert!(matches!(answer, CatalogueAnswer::Page { more: false, .. }), "{answer:?}");
}

#[tokio::test]
async fn tags_are_counted_over_all_pages() {
    let link = "</v2/group/project/image/tags/list?last=v2&n=1000>; rel=\"next\"";
    let server = ScriptedServer::start([tags(&["v1", "v2"]).with("link", link), tags(&["v3"])]).await;
    assert_eq!(client(&server.url()).count_tags(&path(), deadline()).await, TagsAnswer::Counted(3));
    let list = "/v2/group/project/image/tags/list?n=1000";
    assert_eq!(targets(&server), [list.to_owned(), format!("{list}&last=v2")]);
    let allowed = json!([{"type": "repository", "name": "group/project/image", "actions": ["pull"]}]);
    assert_eq!(access(&server.received()[1]), allowed);
}

#[tokio::test]
async fn tags_that_begin_again_are_not_counted_for_ever() {
    let again = tags(&["v1", "v2"]).with("link", "</v2/x>; rel=\"next\"");
    let server = ScriptedServer::start([again]).await;
    let answer = client(&server.url()).count_tags(&path(), deadline()).await;
    assert!(matches!(answer, TagsAnswer::NoAnswer { .. }), "{answer:?}");
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn no_tags_are_counted_as_none_and_an_unknown_repository_as_unknown() {
    for (reply, expected) in [
        (Reply::answer(200, r#"{"name":"x","tags":null}"#), TagsAnswer::Counted(0)),
        (tags(&[]), TagsAnswer::Counted(0)),
        (Reply::answer(404, r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#), TagsAnswer::NotFound),
    ] {
        let server = ScriptedServer::start([reply]).await;
        assert_eq!(client(&server.url()).count_tags(&path(), deadline()).await, expected);
    }
}

#[tokio::test]
async fn what_is_no_list_is_no_answer() {
    for reply in [
        Reply::answer(200, "<html>"),
        Reply::answer(200, "[]"),
        Reply::answer(404, "<html>not here</html>"),
        Reply::answer(500, ""),
        Reply::answer(403, r#"{"errors":[{"code":"DENIED"}]}"#),
        Reply::HalfAnswer { status: 200, body: r#"{"repositories":[],"tags":[]}"# },
        Reply::Cut,
    ] {
        let server = ScriptedServer::start([reply.clone()]).await;
        let client = client(&server.url());
        let catalogue = client.catalogue(None, 2, deadline()).await;
        assert!(matches!(catalogue, CatalogueAnswer::NoAnswer { .. }), "{reply:?}: {catalogue:?}");
        let tags = client.count_tags(&path(), deadline()).await;
        assert!(matches!(tags, TagsAnswer::NoAnswer { .. }), "{reply:?}: {tags:?}");
    }
}

#[tokio::test]
async fn more_tags_than_one_answer_of_the_import_protocol_may_hold_are_counted() {
    let many: Vec<String> = (0..20_000).map(|number| format!("v{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let server = ScriptedServer::start([tags(&many)]).await;
    assert_eq!(client(&server.url()).count_tags(&path(), deadline()).await, TagsAnswer::Counted(20_000));
}
