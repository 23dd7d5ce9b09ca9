use super::{
    client, config, name,
    server::{Server, answer, refusal},
    soon,
};
use crate::{Algorithm, Client, Digest, Profile};

fn index(of: &str) -> String {
    let digest = Digest::of(Algorithm::Sha256, of.as_bytes());
    format!(r#"{{"manifests":[{{"digest":"{digest}","size":1,"artifactType":"{of}"}}]}}"#)
}

fn of(server: &Server, profile: Profile) -> Client {
    let mut config = config(server);
    config.profile = profile;
    Client::new(config).unwrap()
}

fn subject() -> Digest {
    Digest::of(Algorithm::Sha256, b"subject")
}

#[tokio::test]
async fn reads_every_page_of_referrers() {
    let server = Server::with([
        answer(200).header("link", r#"</v2/next>; rel="next""#).body(index("one")),
        answer(200).body(index("other")),
    ])
    .await;
    let found = of(&server, Profile::Other).referrers(&name(), &subject(), soon()).await.unwrap().unwrap();
    let types: Vec<_> = found.iter().map(|found| found.artifact_type.as_deref().unwrap()).collect();
    assert_eq!(types, ["one", "other"]);
    assert_eq!(server.lines()[0], format!("GET /v2/group/image/referrers/{}", subject()));
}

#[tokio::test]
async fn asks_once_where_there_is_no_such_api() {
    let server =
        Server::by(|_| answer(404).header("content-type", "text/plain").body("404 page not found")).await;
    let client = of(&server, Profile::Other);
    for _ in 0..2 {
        assert!(client.referrers(&name(), &subject(), soon()).await.unwrap().is_none());
    }
    assert_eq!(server.lines().len(), 1);
    // A code tells of this repository alone.
    let server = Server::by(|_| refusal(404, "NAME_UNKNOWN")).await;
    let client = of(&server, Profile::Other);
    for _ in 0..2 {
        assert!(client.referrers(&name(), &subject(), soon()).await.unwrap().is_none());
    }
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn asks_by_tag_where_the_api_is_known_to_be_missing() {
    let server = Server::by(|_| answer(200).body(index("one"))).await;
    let client = client(&server);
    assert!(client.referrers(&name(), &subject(), soon()).await.unwrap().is_none());
    let index = client.fallback_index(&name(), &subject(), soon()).await.unwrap().unwrap();
    assert_eq!(index.parse().unwrap().manifests.len(), 1);
    let tag = format!("sha256-{}", subject().hex());
    assert_eq!(server.lines(), [format!("GET /v2/group/image/manifests/{tag}")]);
}
