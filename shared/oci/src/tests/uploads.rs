use bytes::Bytes;

use super::{
    client, config, name,
    server::{Reply, Server, answer, refusal},
    soon,
};
use crate::{Algorithm, Cause, Client, Digest, Mount, Profile, Standing, Upload};

fn blob() -> (Bytes, Digest) {
    let bytes = Bytes::from_static(b"0123456789");
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    (bytes, digest)
}

fn begun() -> Reply {
    answer(202).header("location", "/v2/group/image/blobs/uploads/u?_state=0").header("range", "0-0")
}

fn at(status: u16, state: u32, last: u64) -> Reply {
    answer(status)
        .header("location", format!("/v2/group/image/blobs/uploads/u?_state={state}"))
        .header("range", format!("0-{last}"))
}

fn of(server: &Server, profile: Profile) -> Client {
    let mut config = config(server);
    config.profile = profile;
    Client::new(config).unwrap()
}

async fn upload(client: &Client) -> Upload {
    client.begin_upload(&name(), soon()).await.unwrap()
}

#[tokio::test]
async fn sends_parts_each_at_the_newest_location() {
    let server = Server::with([begun(), at(202, 1, 3), at(202, 2, 9), answer(201)]).await;
    let client = client(&server);
    let mut upload = upload(&client).await;
    let (bytes, digest) = blob();
    client.upload_part(&mut upload, bytes.slice(..4), soon()).await.unwrap();
    assert_eq!((upload.offset(), upload.location().ends_with("_state=1")), (4, true));
    client.upload_part(&mut upload, bytes.slice(4..), soon()).await.unwrap();
    client.finish_upload(upload, &digest, Bytes::new(), soon()).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[1].header("content-range"), Some("0-3"));
    assert_eq!(seen[2].header("content-range"), Some("4-9"));
    assert!(seen[2].line.ends_with("_state=1"));
    let query = format!("_state=2&digest={}", digest.to_string().replace(':', "%3A"));
    assert!(seen[3].line.ends_with(&query), "{}", seen[3].line);
    assert_eq!(seen[3].header("content-length"), Some("0"));
}

#[tokio::test]
async fn loses_an_upload_whose_part_was_cut_on_distribution_2() {
    let server = Server::with([begun(), Reply::CutRequest(2), refusal(404, "BLOB_UPLOAD_INVALID")]).await;
    let client = client(&server);
    let mut upload = upload(&client).await;
    let lost = client.upload_part(&mut upload, blob().0, soon()).await.unwrap_err();
    assert_eq!(lost.cause, Cause::UploadLost);
    assert_eq!(server.verbs(), ["POST", "PATCH", "GET"]);
}

#[tokio::test]
async fn sends_a_part_again_that_never_came() {
    let server = Server::with([begun(), Reply::Cut, at(204, 1, 0), at(202, 2, 9)]).await;
    let client = client(&server);
    let mut upload = upload(&client).await;
    client.upload_part(&mut upload, blob().0, soon()).await.unwrap();
    assert_eq!(upload.offset(), 10);
    assert_eq!(server.seen()[3].body, blob().0);
}

#[tokio::test]
async fn goes_on_within_a_part_on_distribution_3_alone() {
    for (profile, goes_on) in [(Profile::Distribution3, true), (Profile::Other, false)] {
        let server = Server::with([begun(), Reply::CutRequest(6), at(204, 1, 5), at(202, 2, 9)]).await;
        let client = of(&server, profile);
        let mut upload = upload(&client).await;
        let sent = client.upload_part(&mut upload, blob().0, soon()).await;
        assert_eq!(sent.map_err(|error| error.cause), if goes_on { Ok(()) } else { Err(Cause::UploadLost) });
        if goes_on {
            let last = server.seen().pop().unwrap();
            assert_eq!((&last.body[..], last.header("content-range")), (&b"6789"[..], Some("6-9")));
        }
    }
}

#[tokio::test]
async fn counts_a_part_whose_answer_was_lost() {
    let server = Server::with([begun(), Reply::Cut, at(204, 1, 9)]).await;
    let client = of(&server, Profile::Distribution3);
    let mut upload = upload(&client).await;
    client.upload_part(&mut upload, blob().0, soon()).await.unwrap();
    assert_eq!((upload.offset(), server.verbs()), (10, vec!["POST".into(), "PATCH".into(), "GET".into()]));
}

#[tokio::test]
async fn asks_three_times_where_a_replica_knows_no_upload() {
    let unknown = || refusal(404, "BLOB_UPLOAD_UNKNOWN");
    let server = Server::with([begun(), unknown(), unknown(), at(202, 1, 9)]).await;
    let client = client(&server);
    let mut first = upload(&client).await;
    client.upload_part(&mut first, blob().0, soon()).await.unwrap();
    let server =
        Server::by(move |seen| if seen.line.starts_with("POST") { begun() } else { unknown() }).await;
    let client = super::client(&server);
    let mut second = upload(&client).await;
    let lost = client.upload_part(&mut second, blob().0, soon()).await.unwrap_err();
    assert_eq!((lost.cause, server.lines().len()), (Cause::UploadLost, 5));
}

#[tokio::test]
async fn never_repeats_a_part_after_a_5xx_without_asking() {
    let server = Server::with([begun(), answer(502), at(204, 1, 9)]).await;
    let client = client(&server);
    let mut upload = upload(&client).await;
    client.upload_part(&mut upload, blob().0, soon()).await.unwrap();
    assert_eq!(server.verbs(), ["POST", "PATCH", "GET"]);
}

#[tokio::test]
async fn believes_that_a_blob_is_there_after_a_lost_end() {
    let server = Server::with([begun(), Reply::Cut, answer(200).header("content-length", "10")]).await;
    let client = client(&server);
    let (bytes, digest) = blob();
    let put = client.put_blob(&name(), &digest, &bytes, None, soon()).await.unwrap();
    assert_eq!((put.lost, server.verbs()), (0, vec!["POST".into(), "PUT".into(), "HEAD".into()]));
}

#[tokio::test]
async fn begins_anew_where_a_cut_end_lost_the_upload() {
    let gone = || refusal(404, "BLOB_UPLOAD_INVALID");
    let missing = || answer(404);
    let server =
        Server::with([begun(), Reply::CutRequest(3), missing(), gone(), missing(), begun(), answer(201)])
            .await;
    let client = client(&server);
    let (bytes, digest) = blob();
    let put = client.put_blob(&name(), &digest, &bytes, None, soon()).await.unwrap();
    assert_eq!(put.lost, 1);
    assert_eq!(server.verbs(), ["POST", "PUT", "HEAD", "GET", "HEAD", "POST", "PUT"]);
    assert_eq!(server.seen()[6].body, bytes);
}

#[tokio::test]
async fn ends_with_the_rest_after_a_cut_on_distribution_3() {
    let server = Server::with([begun(), Reply::CutRequest(3), answer(404), at(204, 1, 2), answer(201)]).await;
    let client = of(&server, Profile::Distribution3);
    let (bytes, digest) = blob();
    assert_eq!(client.put_blob(&name(), &digest, &bytes, None, soon()).await.unwrap().lost, 0);
    let last = server.seen().pop().unwrap();
    assert_eq!((&last.body[..], last.line.contains("_state=1&")), (&b"3456789"[..], true));
}

#[tokio::test]
async fn drops_an_upload_of_other_bytes() {
    let server = Server::with([begun(), refusal(400, "DIGEST_INVALID"), at(204, 1, 9), answer(204)]).await;
    let client = client(&server);
    let refused =
        client.put_blob(&name(), &blob().1, &Bytes::from_static(b"x"), None, soon()).await.unwrap_err();
    assert_eq!(refused.cause, Cause::DigestMismatch);
    assert_eq!(server.verbs(), ["POST", "PUT", "GET", "DELETE"]);
}

#[tokio::test]
async fn mounts_or_gives_a_session() {
    let from = crate::Name::parse("other").unwrap();
    let (bytes, digest) = blob();
    let server = Server::with([answer(201), begun(), answer(201)]).await;
    let client = client(&server);
    let mounted = client.mount(&name(), &digest, Some(&from), soon()).await.unwrap();
    assert_eq!(mounted, Mount::Mounted);
    let Mount::Session(session) = client.mount(&name(), &digest, Some(&from), soon()).await.unwrap() else {
        panic!("it is a session");
    };
    client.put_blob(&name(), &digest, &bytes, Some(session), soon()).await.unwrap();
    let digest = digest.to_string().replace(':', "%3A");
    assert_eq!(server.lines()[0], format!("POST /v2/group/image/blobs/uploads/?mount={digest}&from=other"));
    assert_eq!(server.verbs(), ["POST", "POST", "PUT"]);
}

#[tokio::test]
async fn sends_a_blob_whose_mount_is_refused() {
    for refused in
        [refusal(401, "UNAUTHORIZED"), refusal(403, "DENIED"), refusal(404, "BLOB_UNKNOWN"), answer(405)]
    {
        let server = Server::with([refused, begun()]).await;
        let from = crate::Name::parse("other").unwrap();
        let mounted = client(&server).mount(&name(), &blob().1, Some(&from), soon()).await.unwrap();
        assert!(matches!(mounted, Mount::Session(_)));
        assert_eq!(server.lines()[1], "POST /v2/group/image/blobs/uploads/");
    }
}

#[tokio::test]
async fn refuses_a_location_at_another_host() {
    let server = Server::with([answer(202).header("location", "https://evil.example/u")]).await;
    let client = client(&server);
    assert_eq!(client.begin_upload(&name(), soon()).await.unwrap_err().cause, Cause::Protocol);
    assert!(Upload::resume(&client, name(), "https://evil.example/u", 0).is_err());
}

#[tokio::test]
async fn tells_no_byte_from_one() {
    let server = Server::with([begun(), at(202, 1, 0), at(204, 2, 0)]).await;
    let client = of(&server, Profile::Distribution3);
    let mut upload = upload(&client).await;
    client
        .upload_part(&mut upload, Bytes::from_static(b"a"), soon())
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(client.upload_status(&mut upload, soon()).await.unwrap(), Standing::At(1));
}

#[tokio::test]
async fn tells_that_an_upload_is_lost() {
    for gone in [refusal(404, "BLOB_UPLOAD_INVALID"), refusal(404, "BLOB_UPLOAD_UNKNOWN"), answer(404)] {
        let server =
            Server::by(move |seen| if seen.line.starts_with("POST") { begun() } else { gone.clone() }).await;
        let client = client(&server);
        let mut upload = upload(&client).await;
        assert_eq!(client.upload_status(&mut upload, soon()).await.unwrap(), Standing::Lost);
        client.cancel_upload(upload, soon()).await.unwrap();
    }
}

#[tokio::test]
async fn goes_on_behind_a_single_byte_that_was_stored() {
    let server = Server::with([
        begun(),
        Reply::CutRequest(1),
        at(204, 1, 0),
        answer(416),
        at(204, 2, 0),
        at(202, 3, 9),
    ])
    .await;
    let client = of(&server, Profile::Distribution3);
    let mut upload = upload(&client).await;
    client.upload_part(&mut upload, blob().0, soon()).await.unwrap();
    let last = server.seen().pop().unwrap();
    assert_eq!((&last.body[..], last.header("content-range")), (&b"123456789"[..], Some("1-9")));
}

#[tokio::test]
async fn drops_the_upload_that_it_recognises_a_registry_by() {
    let is = |reply: Reply| reply.header("docker-distribution-api-version", "registry/2.0");
    for (gap, profile, state) in [
        (is(at(202, 1, 2)), Profile::Distribution2, 1),
        (is(answer(416)), Profile::Distribution3, 0),
        (at(202, 1, 2), Profile::Other, 1),
        (answer(400), Profile::Other, 0),
    ] {
        let server = Server::with([begun(), gap, answer(204), answer(204)]).await;
        assert_eq!(client(&server).recognise(&name(), soon()).await.unwrap(), profile);
        let upload = format!("/v2/group/image/blobs/uploads/u?_state={state}");
        assert_eq!(server.lines()[2..], [format!("GET {upload}"), format!("DELETE {upload}")], "{profile:?}");
    }
}

#[tokio::test]
async fn tries_again_to_recognise_a_registry() {
    for lost in [Reply::Cut, refusal(503, "UNAVAILABLE"), refusal(404, "BLOB_UPLOAD_UNKNOWN")] {
        let gap = answer(416).header("docker-distribution-api-version", "registry/2.0");
        let replies = [begun(), lost, answer(204), answer(204), begun(), gap, answer(204), answer(204)];
        let server = Server::with(replies).await;
        let found = client(&server).recognise(&name(), soon()).await.unwrap();
        assert_eq!(found, Profile::Distribution3);
        // Each upload is dropped, that of the first try too.
        assert_eq!(server.lines().iter().filter(|line| line.starts_with("DELETE")).count(), 2);
    }
}
