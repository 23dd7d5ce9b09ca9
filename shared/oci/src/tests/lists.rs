use super::{
    client, name,
    server::{Server, answer, refusal},
    soon,
};
use crate::{Cause, Tag};

fn page(tags: &str) -> super::server::Reply {
    answer(200).body(format!(r#"{{"name":"x","tags":{tags}}}"#))
}

fn texts(tags: &[Tag]) -> Vec<&str> {
    tags.iter().map(Tag::as_str).collect()
}

#[tokio::test]
async fn walks_pages_by_relative_and_absolute_links() {
    let server = Server::by(|seen| match seen.line.split_once('?').map(|(_, query)| query) {
        Some("n=1000") => {
            page(r#"["b","a"]"#).header("link", r#"</v2/group/image/tags/list?last=a&n=2>; rel="next""#)
        }
        Some("last=a&n=2") => {
            let host = seen.header("host").unwrap();
            page(r#"["c"]"#)
                .header("link", format!(r#"<http://{host}/v2/group/image/tags/list?cursor=x>; rel="next""#))
        }
        _ => page("null"),
    })
    .await;
    let client = client(&server);
    assert_eq!(texts(&client.tags(&name(), soon()).await.unwrap().items), ["b", "a", "c"]);
    assert_eq!(server.lines()[0], "GET /v2/group/image/tags/list?n=1000");
    // A cursor may be kept, and used by another client.
    let first = client.tags_page(&name(), None, soon()).await.unwrap();
    let cursor = first.next.unwrap();
    let other = super::client(&server);
    let second = other.tags_page(&name(), Some(&cursor), soon()).await.unwrap();
    assert_eq!(texts(&second.items), ["c"]);
    assert_eq!(second.next.as_deref(), Some("/v2/group/image/tags/list?cursor=x"));
}

#[tokio::test]
async fn refuses_a_link_to_another_host() {
    for link in ["http://evil.example/v2/", "//evil.example/", "http://127.0.0.1:1/", "https://127.0.0.1/"] {
        let server =
            Server::with([page(r#"["a"]"#).header("link", format!(r#"<{link}>; rel="next""#))]).await;
        let refused = client(&server).tags(&name(), soon()).await.unwrap_err();
        assert_eq!(refused.cause, Cause::Protocol, "{link}");
        assert_eq!(server.lines().len(), 1);
    }
}

#[tokio::test]
async fn notices_a_list_that_begins_again() {
    let server =
        Server::by(|_| page(r#"["a"]"#).header("link", r#"</v2/group/image/tags/list?n=1000>; rel="next""#))
            .await;
    assert_eq!(client(&server).tags(&name(), soon()).await.unwrap_err().cause, Cause::Protocol);
    let server = Server::by(|seen| {
        let link = format!(r#"<{}x>; rel="next""#, seen.line.trim_start_matches("GET "));
        page(r#"["a"]"#).header("link", link)
    })
    .await;
    assert_eq!(client(&server).tags(&name(), soon()).await.unwrap_err().cause, Cause::Protocol);
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn asks_without_a_number_that_is_refused() {
    let server = Server::with([
        refusal(400, "PAGINATION_NUMBER_INVALID"),
        answer(200).body(r#"{"repositories":["a/b","A"]}"#),
    ])
    .await;
    let page = client(&server).catalogue(soon()).await.unwrap();
    assert_eq!(page.items.iter().map(crate::Name::as_str).collect::<Vec<_>>(), ["a/b"]);
    assert_eq!(page.unreadable, [r#""A""#]);
    assert_eq!(server.lines()[1], "GET /v2/_catalog");
}

#[tokio::test]
async fn tells_that_a_repository_is_not_there() {
    let server = Server::with([refusal(404, "NAME_UNKNOWN")]).await;
    let refused = client(&server).tags(&name(), soon()).await.unwrap_err();
    assert_eq!((refused.cause, refused.code.as_deref()), (Cause::NotFound, Some("NAME_UNKNOWN")));
}
