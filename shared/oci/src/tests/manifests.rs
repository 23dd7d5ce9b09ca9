use bytes::Bytes;

use super::{
    client, config, name,
    server::{Server, answer, refusal},
    soon,
};
use crate::{
    Cause, Client, ClientConfig, Digest, MANIFEST_LIMIT, MANIFEST_TYPES, Manifest, OCI_IMAGE, Profile,
    Reference, Tag, Written,
};

fn manifest() -> Manifest {
    Manifest::new(Bytes::from_static(b"{ \"layers\": [] }\n"), OCI_IMAGE.to_owned())
}

fn tag() -> Reference {
    Tag::parse("v1").unwrap().into()
}

fn given(digest: &Digest) -> super::server::Reply {
    answer(200)
        .header("content-type", OCI_IMAGE)
        .header("docker-content-digest", digest.to_string())
        .body(manifest().bytes().to_vec())
}

#[tokio::test]
async fn reads_a_manifest_as_it_is() {
    let server = Server::by(|_| given(manifest().digest())).await;
    let client = client(&server);
    let read = client.get_manifest(&name(), &tag(), soon()).await.unwrap();
    assert_eq!(read, Some(manifest()));
    let head = client.head_manifest(&name(), &tag(), soon()).await.unwrap().unwrap();
    assert_eq!(head.digest, *manifest().digest());
    assert_eq!((head.size, head.media_type.as_str()), (manifest().bytes().len() as u64, OCI_IMAGE));
    let accepted: Vec<String> = server.seen()[0]
        .headers
        .iter()
        .filter(|(name, _)| name == "accept")
        .map(|(_, value)| value.clone())
        .collect();
    assert!(MANIFEST_TYPES.iter().all(|wanted| accepted.iter().any(|found| found == wanted)), "{accepted:?}");
}

#[tokio::test]
async fn notices_other_bytes_than_those_named() {
    let other = Digest::of(crate::Algorithm::Sha256, b"other");
    let server = Server::by(move |_| given(&Digest::of(crate::Algorithm::Sha256, b"other"))).await;
    let client = client(&server);
    for reference in [tag(), other.into()] {
        let refused = client.get_manifest(&name(), &reference, soon()).await.unwrap_err();
        assert_eq!(refused.cause, Cause::DigestMismatch);
    }
    let asked = manifest().digest().clone().into();
    assert_eq!(client.head_manifest(&name(), &asked, soon()).await.unwrap_err().cause, Cause::DigestMismatch);
}

#[tokio::test]
async fn computes_a_digest_that_is_not_said() {
    let server = Server::by(|_| answer(200).body(manifest().bytes().to_vec())).await;
    let head = client(&server).head_manifest(&name(), &tag(), soon()).await.unwrap().unwrap();
    assert_eq!(head.digest, *manifest().digest());
    assert_eq!(server.verbs(), ["HEAD", "GET"]);
}

#[tokio::test]
async fn tells_that_a_manifest_is_not_there() {
    let server = Server::by(|_| refusal(404, "MANIFEST_UNKNOWN")).await;
    let client = client(&server);
    assert_eq!(client.head_manifest(&name(), &tag(), soon()).await.unwrap(), None);
    assert_eq!(client.get_manifest(&name(), &tag(), soon()).await.unwrap(), None);
}

#[tokio::test]
async fn reads_no_manifest_without_an_end() {
    let server = Server::by(|_| answer(200).body(vec![b' '; MANIFEST_LIMIT + 1])).await;
    assert_eq!(
        client(&server).get_manifest(&name(), &tag(), soon()).await.unwrap_err().cause,
        Cause::TooLarge
    );
}

#[tokio::test]
async fn writes_a_manifest_as_it_is() {
    let server =
        Server::by(|_| answer(201).header("docker-content-digest", manifest().digest().to_string())).await;
    let written = client(&server).put_manifest(&name(), &tag(), &manifest(), soon()).await.unwrap();
    assert_eq!(written, Written::Done);
    let seen = &server.seen()[0];
    assert_eq!(
        (seen.line.as_str(), &seen.body[..]),
        ("PUT /v2/group/image/manifests/v1", &manifest().bytes()[..])
    );
    assert_eq!(seen.header("content-type"), Some(OCI_IMAGE));
}

#[tokio::test]
async fn compares_the_digest_that_a_put_answers() {
    let other = Digest::of(crate::Algorithm::Sha256, b"other").to_string();
    let server = Server::by(move |_| answer(201).header("docker-content-digest", other.clone())).await;
    let refused = client(&server).put_manifest(&name(), &tag(), &manifest(), soon()).await.unwrap_err();
    assert_eq!(refused.cause, Cause::DigestMismatch);
}

#[tokio::test]
async fn takes_the_same_digest_under_a_fixed_tag_for_written() {
    for (there, wanted) in [
        (manifest().digest().clone(), Ok(Written::Already)),
        (Digest::of(crate::Algorithm::Sha256, b"x"), Err(Cause::Conflict)),
    ] {
        let server = Server::by(move |seen| match seen.line.starts_with("PUT") {
            true => refusal(409, "TAG_IMMUTABLE"),
            false => given(&there),
        })
        .await;
        let written = client(&server).put_manifest(&name(), &tag(), &manifest(), soon()).await;
        assert_eq!(written.map_err(|error| error.cause), wanted);
        assert_eq!(server.verbs(), ["PUT", "HEAD"]);
    }
}

#[tokio::test]
async fn says_that_a_child_is_missing() {
    for code in ["MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"] {
        let server = Server::by(move |_| refusal(404, code)).await;
        let refused = client(&server).put_manifest(&name(), &tag(), &manifest(), soon()).await.unwrap_err();
        assert_eq!(refused.cause, Cause::BlobUnknown, "{code}");
    }
}

#[tokio::test]
async fn removes_a_tag_where_that_removes_nothing_else() {
    let server = Server::by(|_| answer(202)).await;
    let tag = Tag::parse("v1").unwrap();
    for profile in [Profile::Distribution2, Profile::Other] {
        let client = Client::new(ClientConfig { profile, ..config(&server) }).unwrap();
        assert_eq!(client.delete_tag(&name(), &tag, soon()).await.unwrap_err().cause, Cause::Protocol);
    }
    assert!(server.seen().is_empty(), "nothing is asked");
    let client = Client::new(ClientConfig { profile: Profile::Distribution3, ..config(&server) }).unwrap();
    assert_eq!(client.delete_tag(&name(), &tag, soon()).await, Ok(true));
    let seen = server.seen();
    assert_eq!(seen[0].line, "DELETE /v2/group/image/manifests/v1");
    let gone = Server::by(|_| refusal(404, "MANIFEST_UNKNOWN")).await;
    let client = Client::new(ClientConfig { profile: Profile::Distribution3, ..config(&gone) }).unwrap();
    assert_eq!(client.delete_tag(&name(), &tag, soon()).await, Ok(false));
}

#[tokio::test]
async fn gives_up_a_manifest_that_the_registry_cannot_read() {
    let server = Server::by(|_| refusal(500, "UNKNOWN")).await;
    let client = Client::new(ClientConfig {
        retries: crate::Retries { tries: 8, ..config(&server).retries },
        ..config(&server)
    })
    .unwrap();
    for (asked, by_head) in [(4, false), (8, true)] {
        let failed = match by_head {
            true => client.head_manifest(&name(), &tag(), soon()).await.unwrap_err(),
            false => client.get_manifest(&name(), &tag(), soon()).await.unwrap_err(),
        };
        assert_eq!((failed.cause, server.seen().len()), (Cause::ServerError, asked));
    }
    // Of a list it says that the registry is ill.
    let failed = client.tags(&name(), soon()).await.unwrap_err();
    assert_eq!((failed.cause, server.seen().len()), (Cause::Unavailable, 8 + 8));
}
