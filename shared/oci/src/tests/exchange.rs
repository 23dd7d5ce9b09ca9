use std::{
    collections::BTreeMap,
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use secrecy::SecretString;
use tokio::time::Instant;

use super::{
    client, config, name,
    server::{Reply, Server, answer, refusal},
    soon,
};
use crate::{
    Action, Cause, Client, ClientConfig, ConfigError, Credentials, Digest, Limits, Manifest, OCI_IMAGE,
    Resolver, Sent, Tag,
};

fn blob() -> Digest {
    Digest::of(crate::Algorithm::Sha256, b"blob")
}

#[tokio::test]
async fn tries_each_verb_again() {
    let manifest = Manifest::new(Bytes::from_static(b"{}"), OCI_IMAGE.to_owned());
    let tag = Tag::parse("v1").unwrap().into();
    for failure in [answer(429), answer(500), answer(503), Reply::Cut] {
        let begun = || answer(202).header("location", "/v2/u").header("range", "0-2");
        let replies = [
            failure.clone(),
            answer(200).body(r#"{"tags":[]}"#),
            failure.clone(),
            answer(404),
            failure.clone(),
            answer(201),
            failure.clone(),
            begun(),
        ];
        let server = Server::with(replies).await;
        let client = client(&server);
        client.tags(&name(), soon()).await.unwrap();
        assert_eq!(client.head_manifest(&name(), &tag, soon()).await.unwrap(), None);
        client.put_manifest(&name(), &tag, &manifest, soon()).await.unwrap();
        client.begin_upload(&name(), soon()).await.unwrap();
        assert_eq!(
            server.verbs(),
            ["GET", "GET", "HEAD", "HEAD", "PUT", "PUT", "POST", "POST"],
            "{failure:?}"
        );
    }
}

#[tokio::test]
async fn waits_as_long_as_the_registry_asks() {
    let server = Server::with([answer(429).header("retry-after", "1"), answer(200)]).await;
    let began = Instant::now();
    client(&server).check(soon()).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
    // A wait beyond the deadline is the caller's.
    let server = Server::by(|_| answer(429).header("retry-after", "60")).await;
    let began = Instant::now();
    let refused = client(&server).check(soon()).await.unwrap_err();
    assert_eq!((refused.cause, refused.retry_after), (Cause::RateLimited, Some(Duration::from_secs(60))));
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn gives_up_after_some_tries_and_at_the_deadline() {
    let server = Server::by(|_| refusal(503, "UNAVAILABLE")).await;
    let refused = client(&server).check(soon()).await.unwrap_err();
    assert_eq!((refused.cause, refused.status, server.lines().len()), (Cause::Unavailable, Some(503), 4));
    let server = Server::by(|_| Reply::Silent).await;
    let began = Instant::now();
    let refused = client(&server).check(began + Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(refused.cause, Cause::Deadline);
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn reads_an_answer_again_that_was_cut() {
    let cut = Reply::CutBody { status: 200, headers: Vec::new(), length: 50, body: b"{".to_vec() };
    let server = Server::with([cut, answer(200).body(r#"{"tags":["a"]}"#)]).await;
    assert_eq!(client(&server).tags(&name(), soon()).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn takes_no_credentials_along_on_a_redirect() {
    let other = Server::by(|_| answer(200).header("content-length", "4")).await;
    let target = format!("{}blob?signature=x", other.url());
    let server = Server::by(move |seen| match seen.header("authorization") {
        Some(_) => answer(307).header("location", target.clone()),
        None => answer(401).header("www-authenticate", "Basic"),
    })
    .await;
    let mut config = config(&server);
    config.credentials = Credentials::Basic { user: "u".to_owned(), password: SecretString::from("p") };
    let client = Client::new(config).unwrap();
    client.head_blob(&name(), &blob(), soon()).await.unwrap().unwrap();
    let seen = &other.seen()[0];
    assert_eq!((seen.line.as_str(), seen.header("authorization")), ("HEAD /blob?signature=x", None));
}

#[tokio::test]
async fn asks_the_registry_again_when_a_signature_is_over() {
    let other = Server::with([answer(403), answer(200).body("blob")]).await;
    let target = format!("{}blob", other.url());
    let server = Server::by(move |_| answer(307).header("location", target.clone())).await;
    let mut body = client(&server).get_blob(&name(), &blob(), 0, soon()).await.unwrap();
    assert_eq!(body.next().await.unwrap().unwrap(), "blob");
    assert_eq!((server.lines().len(), other.lines().len()), (2, 2));
}

/// A registry that is connected to here, and is at a public address for whoever asks afterwards.
#[derive(Default)]
struct Moved(AtomicBool);

impl Resolver for Moved {
    fn resolve(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let is_first = host == "registry.example" && !self.0.swap(true, Ordering::SeqCst);
        let address = match host {
            "registry.example" if !is_first => "52.1.1.1",
            _ => "127.0.0.1",
        };
        Box::pin(async move { Ok(vec![address.parse().unwrap()]) })
    }
}

#[tokio::test]
async fn follows_no_redirect_to_an_address_inside() {
    let inside = Server::by(|_| answer(200)).await;
    let port = inside.url().port().unwrap();
    for host in ["secrets.example", "127.0.0.1", "169.254.169.254", "10.0.0.1", "[::1]"] {
        let target = format!("http://{host}:{port}/");
        let server = Server::by(move |_| answer(302).header("location", target.clone())).await;
        let mut config = config(&server);
        config.url.set_host(Some("registry.example")).unwrap();
        config.resolver = Some(Arc::new(Moved::default()));
        config.insecure = true;
        let client = Client::new(config).unwrap();
        let refused = client.head_blob(&name(), &blob(), soon()).await.unwrap_err();
        assert_eq!((refused.cause, server.lines().len()), (Cause::ForbiddenAddress, 1), "{refused}");
    }
    assert!(inside.lines().is_empty());
}

#[tokio::test]
async fn never_follows_a_redirect_with_a_change() {
    let server = Server::by(|_| answer(307).header("location", "/elsewhere")).await;
    assert_eq!(client(&server).begin_upload(&name(), soon()).await.unwrap_err().cause, Cause::Protocol);
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn ends_a_circle_of_redirects() {
    let server = Server::by(|_| answer(302).header("location", "/v2/")).await;
    assert_eq!(client(&server).check(soon()).await.unwrap_err().cause, Cause::Protocol);
    assert_eq!(server.lines().len(), 6);
}

#[tokio::test]
async fn keeps_a_limit_that_is_set_while_it_runs() {
    let server = Server::by(|_| answer(404)).await;
    let client = client(&server);
    client.set_limits(Limits { requests_per_second: Some(20.0), ..Limits::default() });
    let began = Instant::now();
    for _ in 0..11 {
        client.head_blob(&name(), &blob(), soon()).await.unwrap();
    }
    assert!(began.elapsed() >= Duration::from_millis(400), "{:?}", began.elapsed());
    assert_eq!(client.traffic().requests, BTreeMap::from([(Action::HeadBlob, 11)]));
}

#[test]
fn refuses_an_address_that_shows_what_is_sent() {
    let made = |url: &str| Client::new(ClientConfig::new(url.parse().unwrap()));
    assert!(matches!(made("http://registry.example"), Err(ConfigError::Insecure)));
    for url in
        ["https://u:p@registry.example", "https://registry.example?x", "ftp://registry.example", "data:x"]
    {
        assert!(matches!(made(url), Err(ConfigError::Url)), "{url}");
    }
    assert!(made("http://localhost:5000").is_ok() && made("https://registry.example/base").is_ok());
}

#[tokio::test]
async fn asks_below_the_registrys_own_path() {
    let server = Server::by(|_| answer(404)).await;
    let mut config = config(&server);
    config.url = server.url().join("/base/").unwrap();
    Client::new(config).unwrap().head_blob(&name(), &blob(), soon()).await.unwrap();
    assert!(server.lines()[0].starts_with("HEAD /base/v2/group/image/blobs/sha256:"), "{:?}", server.lines());
}

#[tokio::test]
async fn trusts_the_authorities_of_a_file_alone() {
    let (server, certificate) = Server::by_tls(|_| answer(200)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, certificate).unwrap();
    let mut config = config(&server);
    assert_eq!(
        Client::new(config.clone()).unwrap().check(soon()).await.unwrap_err().cause,
        Cause::Unavailable
    );
    assert!(server.lines().is_empty());
    config.authorities = Some(file);
    Client::new(config.clone()).unwrap().check(soon()).await.unwrap();
    config.authorities = Some(folder.path().join("nowhere.pem"));
    assert!(Client::new(config).unwrap_err().to_string().contains("nowhere.pem"));
}

#[tokio::test]
async fn sends_nothing_whose_turn_comes_too_late() {
    let server = Server::by(|_| answer(404)).await;
    let client = client(&server);
    client.set_limits(Limits { requests_per_second: Some(0.5), ..Limits::default() });
    client.head_blob(&name(), &blob(), soon()).await.unwrap();
    let late =
        client.head_blob(&name(), &blob(), Instant::now() + Duration::from_millis(50)).await.unwrap_err();
    assert_eq!((late.cause, late.sent), (Cause::Deadline, Sent::No));
    assert_eq!(server.lines().len(), 1);
}
