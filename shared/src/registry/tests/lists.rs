use std::{collections::BTreeSet, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{client, deadline, path};
use crate::{
    endpoint::scripted_server::{Received, Reply, ScriptedServer},
    registry::{Incomplete, Refusal, RegistryClient},
};

fn page(names: &[&str]) -> Reply {
    Reply::answer(200, json!({"repositories": names}).to_string())
}

/// A page with a link to the next one.
fn linked(names: &[&str], target: &str) -> Reply {
    page(names).with("link", format!("<{target}>; rel=\"next\""))
}

fn error(status: u16, code: &str) -> Reply {
    Reply::answer(status, json!({"errors": [{"code": code}]}).to_string())
}

fn refused(status: u16, code: Option<&str>, retry_after: Option<u64>) -> Incomplete {
    let retry_after = retry_after.map(Duration::from_secs);
    Incomplete::Refused(Refusal { status, code: code.map(str::to_owned), retry_after })
}

fn no_answer(reason: &str) -> Incomplete {
    Incomplete::NoAnswer { reason: reason.to_owned(), retry_after: None }
}

fn targets(server: &ScriptedServer) -> Vec<String> {
    server.received().iter().map(|request| request.target.clone()).collect()
}

/// What the request's token allows.
fn access(request: &Received) -> Value {
    let claims = request.headers["authorization"].split('.').nth(1).unwrap().to_owned();
    serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()["access"].clone()
}

/// What a walk finds, and how it ends.
async fn walk(client: &RegistryClient, after: Option<&str>) -> (Vec<String>, Result<(), Incomplete>) {
    let mut walk = match client.walk_catalogue(after) {
        Ok(walk) => walk,
        Err(incomplete) => return (vec![], Err(incomplete)),
    };
    let mut names = Vec::new();
    for _ in 0..50 {
        match walk.page(Instant::now() + Duration::from_secs(1)).await {
            Ok(Some(page)) => names.extend(page.names),
            Ok(None) => return (names, Ok(())),
            Err(incomplete) => return (names, Err(incomplete)),
        }
    }
    panic!("the walk does not end: {names:?}");
}

/// What a registry answers, which names are found, and why the list is not complete.
type Case = (&'static str, Vec<Reply>, &'static [&'static str], Result<(), Incomplete>);

fn cases() -> Vec<Case> {
    let huge = format!(r#"{{"repositories":["{}"]}}"#, "a".repeat(8 * 1024 * 1024));
    vec![
        // Complete.
        ("one page", vec![page(&["a", "b"])], &["a", "b"], Ok(())),
        ("no list", vec![Reply::answer(200, r#"{"repositories":null}"#)], &[], Ok(())),
        ("two pages", vec![linked(&["a"], "/v2/_catalog?last=a&n=100"), page(&["b"])], &["a", "b"], Ok(())),
        (
            "another spelling of the link",
            vec![page(&["a"]).with("link", "</v2/_catalog?last=a> ; Rel = next"), page(&["b"])],
            &["a", "b"],
            Ok(()),
        ),
        (
            "an absolute link",
            vec![linked(&["a"], "{origin}/v2/_catalog?last=a#x"), page(&["b"])],
            &["a", "b"],
            Ok(()),
        ),
        ("a link that is a query alone", vec![linked(&["a"], "?last=a"), page(&["b"])], &["a", "b"], Ok(())),
        (
            "cursors of the registry's own",
            vec![linked(&["a"], "/list?next_page=x1"), linked(&["b"], "/list?next_page=x2"), page(&["c"])],
            &["a", "b", "c"],
            Ok(()),
        ),
        (
            "an empty page with a next one",
            vec![linked(&["a"], "?last=1"), linked(&[], "?last=2"), linked(&[], "?last=3"), page(&["b"])],
            &["a", "b"],
            Ok(()),
        ),
        (
            "an order that is not the alphabet's",
            vec![linked(&["team/x", "team-dev/x"], "?last=1"), page(&["a"])],
            &["team/x", "team-dev/x", "a"],
            Ok(()),
        ),
        ("one name twice", vec![page(&["a", "b", "a"])], &["a", "b"], Ok(())),
        ("one name in two cases", vec![page(&["A/x", "a/x"])], &["A/x", "a/x"], Ok(())),
        (
            "pages that overlap",
            vec![linked(&["a", "b"], "?last=1"), page(&["b", "c"])],
            &["a", "b", "c"],
            Ok(()),
        ),
        (
            "entries that are no names",
            vec![Reply::answer(200, r#"{"repositories":["a",7,null,{},"b"]}"#)],
            &["a", "b"],
            Ok(()),
        ),
        (
            "a number of names that is refused",
            vec![error(400, "PAGINATION_NUMBER_INVALID"), linked(&["a"], "?last=a"), page(&["b"])],
            &["a", "b"],
            Ok(()),
        ),
        ("a link to what came before", vec![page(&["a"]).with("link", "</x>; rel=prev")], &["a"], Ok(())),
        // Not complete.
        (
            "pages that go A, B, A, B by the same links",
            vec![
                linked(&["a"], "?last=a"),
                linked(&["b"], "?last=b"),
                linked(&["a"], "?last=a"),
                linked(&["b"], "?last=b"),
            ],
            &["a", "b"],
            Err(Incomplete::BeginsAgain),
        ),
        (
            "pages that go A, B, A, B by ever new links",
            vec![
                linked(&["a"], "?c=1"),
                linked(&["b"], "?c=2"),
                linked(&["a"], "?c=3"),
                // Not asked for any more.
                page(&["c"]),
            ],
            &["a", "b"],
            Err(Incomplete::BeginsAgain),
        ),
        ("a page that follows itself", vec![linked(&["a"], "?n=100")], &["a"], Err(Incomplete::BeginsAgain)),
        ("empty pages in a ring", vec![linked(&[], "?c=1")], &[], Err(Incomplete::BeginsAgain)),
        (
            "a link to elsewhere",
            vec![linked(&["a"], "http://192.0.2.1/v2/_catalog?last=a")],
            &["a"],
            Err(Incomplete::ForeignLink),
        ),
        (
            "a link to elsewhere without a scheme",
            vec![linked(&["a"], "//192.0.2.1/v2/_catalog?last=a")],
            &["a"],
            Err(Incomplete::ForeignLink),
        ),
        (
            "a link to another port",
            vec![linked(&["a"], "http://127.0.0.1:1/v2/_catalog?last=a")],
            &["a"],
            Err(Incomplete::ForeignLink),
        ),
        (
            "a link header that cannot be read",
            vec![page(&["a"]).with("link", "/v2/_catalog?last=a; rel=next")],
            &["a"],
            Err(Incomplete::UnreadableLink),
        ),
        ("a page of somebody else's", vec![Reply::answer(200, "<html>")], &[], Err(Incomplete::NotAList)),
        ("another list", vec![Reply::answer(200, r#"{"tags":["a"]}"#)], &[], Err(Incomplete::NotAList)),
        ("an array", vec![Reply::answer(200, r#"["a"]"#)], &[], Err(Incomplete::NotAList)),
        (
            "a second page of somebody else's",
            vec![linked(&["a"], "?last=a"), Reply::answer(200, "<html>")],
            &["a"],
            Err(Incomplete::NotAList),
        ),
        ("more than is read", vec![Reply::answer(200, huge)], &[], Err(Incomplete::TooLarge)),
        (
            "a number of names that is refused, and none too",
            vec![error(400, "PAGINATION_NUMBER_INVALID")],
            &[],
            Err(refused(400, Some("PAGINATION_NUMBER_INVALID"), None)),
        ),
        ("no right", vec![error(403, "DENIED")], &[], Err(refused(403, Some("DENIED"), None))),
        ("no token", vec![error(401, "UNAUTHORIZED")], &[], Err(refused(401, Some("UNAUTHORIZED"), None))),
        ("no catalogue", vec![Reply::answer(404, "<html>")], &[], Err(refused(404, None, None))),
        ("a redirect", vec![Reply::answer(307, "")], &[], Err(refused(307, None, None))),
        (
            "too many requests in the middle",
            vec![linked(&["a"], "?last=a"), error(429, "TOOMANYREQUESTS").with("retry-after", "17")],
            &["a"],
            Err(refused(429, Some("TOOMANYREQUESTS"), Some(17))),
        ),
        ("a failure", vec![Reply::answer(500, "")], &[], Err(no_answer("500"))),
        (
            "a pause",
            vec![Reply::answer(503, "").with("retry-after", "30")],
            &[],
            Err(Incomplete::NoAnswer {
                reason: "503".to_owned(),
                retry_after: Some(Duration::from_secs(30)),
            }),
        ),
        (
            "half an answer",
            vec![Reply::HalfAnswer { status: 200, body: r#"{"repositories":[]}"# }],
            &[],
            Err(no_answer("the connection broke off in the answer 200")),
        ),
        ("silence", vec![linked(&["a"], "?last=a"), Reply::Hang], &["a"], Err(no_answer("timed out"))),
    ]
}

#[tokio::test]
async fn ends_where_the_list_does_and_says_so_elsewhere() {
    for (what, script, names, end) in cases() {
        let server = ScriptedServer::start(script).await;
        let found = walk(&client(&server.url()), None).await;
        assert_eq!(found, (names.iter().map(|name| (*name).to_owned()).collect(), end), "{what}");
    }
}

#[tokio::test]
async fn asks_for_what_the_link_says_with_a_token_for_that() {
    let server = ScriptedServer::start([linked(&["a"], "/list?next_page=x%2F1"), page(&["c"])]).await;
    assert_eq!(walk(&client(&server.url()), Some("a/b")).await.1, Ok(()));
    assert_eq!(targets(&server), ["/v2/_catalog?n=100&last=a%2Fb", "/list?next_page=x%2F1"]);
    for request in server.received() {
        assert_eq!(access(&request), json!([{"type": "registry", "name": "catalog", "actions": ["*"]}]));
    }
}

#[tokio::test]
async fn asks_once_without_a_number_that_is_refused() {
    let server = ScriptedServer::start([error(400, "PAGINATION_NUMBER_INVALID"), page(&["b"])]).await;
    assert_eq!(walk(&client(&server.url()), Some("a")).await, (vec!["b".to_owned()], Ok(())));
    assert_eq!(targets(&server), ["/v2/_catalog?n=100&last=a", "/v2/_catalog?last=a"]);
}

#[tokio::test]
async fn passes_over_what_an_earlier_walk_came_to() {
    for (listed, after, found) in [
        (&["a", "b", "c"][..], "b", &["c"][..]),
        (&["c", "a", "b"], "a", &["b"]),
        (&["a", "b"], "b", &[]),
        // Gone since, or the registry begins after it as it was asked to.
        (&["c", "d"], "b", &["c", "d"]),
    ] {
        let server = ScriptedServer::start([page(listed)]).await;
        let (names, end) = walk(&client(&server.url()), Some(after)).await;
        assert_eq!((names, end), (found.iter().map(|name| (*name).to_owned()).collect(), Ok(())), "{after}");
    }
}

#[tokio::test]
async fn goes_on_from_a_page_where_a_name_does_not_do() {
    let script = [linked(&["a"], "/list?next_page=x1"), linked(&["b"], "/list?next_page=x2"), page(&["c"])];
    let server = ScriptedServer::start(script).await;
    let client = client(&server.url());
    let mut first = client.walk_catalogue(None).unwrap();
    assert_eq!(first.position(None), None);
    let a = first.page(deadline()).await.unwrap().unwrap();
    assert_eq!((a.address, first.position(Some("a"))), (None, Some("/list?next_page=x1".to_owned())));
    let b = first.page(deadline()).await.unwrap().unwrap();
    assert_eq!(b.address.as_deref(), Some("/list?next_page=x1"));
    let (names, end) = walk(&client, first.position(Some("b")).as_deref()).await;
    assert_eq!((names, end), (vec!["c".to_owned()], Ok(())));
    assert_eq!(targets(&server), ["/v2/_catalog?n=100", "/list?next_page=x1", "/list?next_page=x2"]);
    for elsewhere in ["//192.0.2.1/list", "/\\192.0.2.1/list"] {
        assert_eq!(walk(&client, Some(elsewhere)).await, (vec![], Err(Incomplete::ForeignLink)));
    }
}

#[tokio::test]
async fn goes_on_after_a_name_where_that_does() {
    let server = ScriptedServer::start([linked(&["a", "b"], "?last=b&n=100"), page(&["c"])]).await;
    let client = client(&server.url());
    let mut walk = client.walk_catalogue(None).unwrap();
    let page = walk.page(deadline()).await.unwrap().unwrap();
    assert_eq!((page.address, walk.position(Some("b"))), (None, Some("b".to_owned())));
    assert_eq!(walk.page(deadline()).await.unwrap().unwrap().address, None);
}

#[tokio::test]
async fn asks_again_for_a_page_that_was_not_answered() {
    let script = [linked(&["a"], "?last=a"), Reply::answer(503, ""), page(&["b"])];
    let server = ScriptedServer::start(script).await;
    let client = client(&server.url());
    let mut walk = client.walk_catalogue(None).unwrap();
    walk.page(deadline()).await.unwrap();
    assert_eq!(walk.page(deadline()).await, Err(no_answer("503")));
    assert_eq!(walk.page(deadline()).await.unwrap().unwrap().names, ["b"]);
    assert_eq!(walk.page(deadline()).await, Ok(None));
}

#[tokio::test]
async fn shows_entries_that_are_no_names() {
    let server = ScriptedServer::start([Reply::answer(200, r#"{"repositories":["a",7]}"#)]).await;
    let client = client(&server.url());
    let page = client.walk_catalogue(None).unwrap().page(deadline()).await.unwrap().unwrap();
    assert_eq!((page.no_names, page.first_no_names), (1, vec!["7".to_owned()]));
}

fn tags(tags: &[&str]) -> Reply {
    Reply::answer(200, json!({"name": "x", "tags": tags}).to_string())
}

async fn listed(script: Vec<Reply>) -> Result<Option<BTreeSet<String>>, Incomplete> {
    let server = ScriptedServer::start(script).await;
    client(&server.url()).list_tags(&path(), deadline()).await
}

#[tokio::test]
async fn lists_tags_over_all_pages() {
    let link = "</v2/group/project/image/tags/list?last=v2&n=1000>; rel=\"next\"";
    let server = ScriptedServer::start([tags(&["v1", "v2"]).with("link", link), tags(&["v3"])]).await;
    let found = client(&server.url()).list_tags(&path(), deadline()).await.unwrap().unwrap();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["v1", "v2", "v3"]);
    let list = "/v2/group/project/image/tags/list";
    assert_eq!(targets(&server), [format!("{list}?n=1000"), format!("{list}?last=v2&n=1000")]);
    let allowed = json!([{"type": "repository", "name": "group/project/image", "actions": ["pull"]}]);
    assert_eq!(access(&server.received()[1]), allowed);
}

#[tokio::test]
async fn tells_no_tags_from_no_repository_and_from_no_list() {
    let none = || Some(BTreeSet::new());
    for (what, script, expected) in [
        ("null", vec![Reply::answer(200, r#"{"name":"x","tags":null}"#)], Ok(none())),
        ("none", vec![tags(&[])], Ok(none())),
        ("unknown", vec![error(404, "NAME_UNKNOWN")], Ok(None)),
        ("a page", vec![Reply::answer(404, "<html>")], Err(refused(404, None, None))),
        ("an empty 404", vec![Reply::answer(404, "")], Err(refused(404, None, None))),
        ("no list", vec![Reply::answer(200, "[]")], Err(Incomplete::NotAList)),
        (
            "gone in the middle",
            vec![tags(&["v1"]).with("link", "<?last=v1>; rel=next"), error(404, "NAME_UNKNOWN")],
            Err(refused(404, Some("NAME_UNKNOWN"), None)),
        ),
        (
            "again and again",
            vec![tags(&["v1"]).with("link", "</v2/x>; rel=next")],
            Err(Incomplete::BeginsAgain),
        ),
    ] {
        assert_eq!(listed(script).await, expected, "{what}");
    }
}

#[tokio::test]
async fn lists_more_tags_than_an_answer_of_the_import_protocol_holds() {
    let many: Vec<String> = (0..20_000).map(|number| format!("v{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(listed(vec![tags(&many)]).await.unwrap().unwrap().len(), 20_000);
}
