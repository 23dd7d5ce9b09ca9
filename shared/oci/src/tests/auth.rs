use std::time::Duration;

use secrecy::SecretString;

use super::{
    client, config, name,
    server::{Reply, Seen, Server, answer, refusal},
    soon,
};
use crate::{Cause, Client, Credentials, Digest, Login};

const BASIC: &str = "Basic dXNlcjpzM2NyM3Q=";

fn basic() -> Credentials {
    Credentials::Basic { user: "user".to_owned(), password: SecretString::from("s3cr3t") }
}

fn of(server: &Server, credentials: Credentials) -> Client {
    let mut config = config(server);
    config.credentials = credentials;
    Client::new(config).unwrap()
}

fn blob() -> Digest {
    Digest::of(crate::Algorithm::Sha256, b"blob")
}

/// A registry with a realm of its own host, whose tokens are numbered; it takes the newest one alone.
fn with_realm(seen: &Seen, issued: &std::sync::atomic::AtomicU32, life: u32) -> Reply {
    use std::sync::atomic::Ordering::SeqCst;
    if seen.line.starts_with("GET /token") {
        let number = issued.fetch_add(1, SeqCst) + 1;
        return answer(200).body(format!(r#"{{"token":"number-{number}","expires_in":{life}}}"#));
    }
    let newest = format!("Bearer number-{}", issued.load(SeqCst));
    if issued.load(SeqCst) > 0 && seen.header("authorization") == Some(&newest) {
        return answer(200).header("content-length", "4");
    }
    let realm = format!("http://{}/token", seen.header("host").unwrap());
    refusal(401, "UNAUTHORIZED")
        .header("www-authenticate", format!(r#"Bearer realm="{realm}",service="here""#))
}

#[tokio::test]
async fn gets_a_token_once_for_each_scope() {
    let issued = std::sync::atomic::AtomicU32::new(0);
    let server = Server::by(move |seen| with_realm(seen, &issued, 300)).await;
    let client = of(&server, basic());
    for _ in 0..3 {
        client.head_blob(&name(), &blob(), soon()).await.unwrap().unwrap();
    }
    let seen = server.seen();
    let scope = "GET /token?service=here&scope=repository%3Agroup%2Fimage%3Apull%2Cpush";
    assert_eq!(server.verbs(), ["HEAD", "GET", "HEAD", "HEAD", "HEAD"]);
    assert_eq!((seen[1].line.as_str(), seen[1].header("authorization")), (scope, Some(BASIC)));
    assert_eq!(seen[0].header("authorization"), None);
    assert_eq!(seen[4].header("authorization"), Some("Bearer number-1"));
}

#[tokio::test]
async fn renews_a_token_once_when_it_is_refused() {
    let issued = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counted = std::sync::Arc::clone(&issued);
    let server = Server::by(move |seen| with_realm(seen, &counted, 300)).await;
    let client = of(&server, basic());
    client.head_blob(&name(), &blob(), soon()).await.unwrap();
    issued.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    client.head_blob(&name(), &blob(), soon()).await.unwrap().unwrap();
    assert_eq!(server.verbs(), ["HEAD", "GET", "HEAD", "HEAD", "GET", "HEAD"]);
    // One that takes no token at all is asked twice and no more.
    let server = Server::by(|seen| match seen.line.starts_with("GET /token") {
        true => answer(200).body(r#"{"access_token":"x"}"#),
        false => {
            let realm = format!("http://{}/token", seen.header("host").unwrap());
            answer(401).header("www-authenticate", format!(r#"Bearer realm="{realm}""#))
        }
    })
    .await;
    let refused = of(&server, basic()).head_blob(&name(), &blob(), soon()).await.unwrap_err();
    assert_eq!((refused.cause, server.lines().len()), (Cause::Unauthorized, 3));
}

#[tokio::test]
async fn renews_a_token_before_it_ends() {
    let issued = std::sync::atomic::AtomicU32::new(0);
    let server = Server::by(move |seen| with_realm(seen, &issued, 1)).await;
    let client = of(&server, basic());
    client.head_blob(&name(), &blob(), soon()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(850)).await;
    client.head_blob(&name(), &blob(), soon()).await.unwrap();
    assert_eq!(server.verbs(), ["HEAD", "GET", "HEAD", "GET", "HEAD"]);
}

#[tokio::test]
async fn logs_in_with_user_and_password() {
    let server = Server::by(|seen| match seen.header("authorization") {
        Some(BASIC) => answer(200),
        _ => answer(401).header("www-authenticate", r#"Basic realm="r""#),
    })
    .await;
    assert_eq!(of(&server, basic()).check(soon()).await.unwrap(), Login::Basic);
    assert_eq!(client(&server).check(soon()).await.unwrap_err().cause, Cause::Unauthorized);
    assert_eq!(server.lines().len(), 3);
    let open = Server::with([answer(200)]).await;
    assert_eq!(client(&open).check(soon()).await.unwrap(), Login::Anonymous);
}

#[tokio::test]
async fn gives_credentials_to_no_realm_of_another_site() {
    let other = Server::by(|_| answer(200).body(r#"{"token":"x"}"#)).await;
    let realm = format!(r#"Bearer realm="http://localhost:{}/token""#, other.url().port().unwrap());
    let server = Server::by(move |_| answer(401).header("www-authenticate", realm.clone())).await;
    let refused = of(&server, basic()).check(soon()).await.unwrap_err();
    assert_eq!(refused.cause, Cause::ForeignRealm);
    assert!(other.lines().is_empty());
    let mut allowed = config(&server);
    allowed.credentials = basic();
    allowed.realms = vec!["localhost".to_owned()];
    let _ = Client::new(allowed).unwrap().check(soon()).await;
    assert!(other.seen()[0].header("authorization").is_some());
}

#[tokio::test]
async fn posts_a_refresh_token() {
    let server = Server::by(|seen| match seen.line.starts_with("POST /token") {
        true => answer(200).body(r#"{"access_token":"number-1"}"#),
        false if seen.header("authorization").is_some() => answer(200),
        false => {
            let realm = format!("http://{}/token", seen.header("host").unwrap());
            answer(401).header("www-authenticate", format!(r#"Bearer realm="{realm}""#))
        }
    })
    .await;
    of(&server, Credentials::Refresh("r3fr3sh".into())).check(soon()).await.unwrap();
    let posted = &server.seen()[1];
    assert!(String::from_utf8_lossy(&posted.body).contains("refresh_token=r3fr3sh"));
    assert_eq!(posted.header("authorization"), None);
}

#[tokio::test]
async fn shows_no_secret() {
    // A registry that repeats what it was told.
    let server = Server::by(|seen| match seen.header("authorization") {
        Some(told) => answer(403)
            .header("content-type", "text/plain")
            .body(format!("{told} s3cr3t {}", told.split(' ').nth(1).unwrap())),
        None => answer(401).header("www-authenticate", "Basic"),
    })
    .await;
    for (credentials, secret) in
        [(basic(), "s3cr3t"), (Credentials::Token("t0k3n-of-ours".into()), "t0k3n-of-ours")]
    {
        let client = of(&server, credentials.clone());
        let refused = client.check(soon()).await.unwrap_err();
        let mut config = config(&server);
        config.credentials = credentials.clone();
        for shown in [format!("{refused} {refused:?}"), format!("{client:?} {credentials:?} {config:?}")] {
            assert!(!shown.contains(secret) && !shown.contains("dXNlcjpzM2NyM3Q="), "{shown}");
        }
    }
}
