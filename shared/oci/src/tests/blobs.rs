use std::time::Duration;

use bytes::Bytes;

use super::{
    client, config, name,
    server::{Reply, Seen, Server, answer},
    soon,
};
use crate::{Algorithm, Cause, Client, Digest};

const BLOB: &[u8] = b"0123456789abcdefghij";

fn digest() -> Digest {
    Digest::of(Algorithm::Sha256, BLOB)
}

/// The byte that a request begins at.
fn from(seen: &Seen) -> usize {
    seen.header("range")
        .map_or(0, |range| range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap())
}

fn partial(from: usize) -> Reply {
    answer(206).header("content-range", format!("bytes {from}-19/20")).body(&BLOB[from..])
}

async fn read(client: &Client, size: u64, part: usize) -> Result<Vec<Bytes>, crate::Error> {
    let mut reader = client.read_blob(&name(), &digest(), size, 0);
    let mut parts = Vec::new();
    while let Some(part) = reader.part(part, soon()).await? {
        parts.push(part);
    }
    Ok(parts)
}

#[tokio::test]
async fn reads_a_blob_part_by_part() {
    let server = Server::by(|_| answer(200).body(BLOB)).await;
    let parts = read(&client(&server), 20, 8).await.unwrap();
    assert_eq!(parts.iter().map(Bytes::len).collect::<Vec<_>>(), [8, 8, 4]);
    assert_eq!(parts.concat(), BLOB);
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn reads_on_after_a_cut_by_range() {
    let server = Server::by(|seen| match from(seen) {
        0 => Reply::CutBody { status: 200, headers: Vec::new(), length: 20, body: BLOB[..7].to_vec() },
        at => partial(at),
    })
    .await;
    assert_eq!(read(&client(&server), 20, 5).await.unwrap().concat(), BLOB);
    assert_eq!(server.seen().iter().map(from).collect::<Vec<_>>(), [0, 7]);
}

#[tokio::test]
async fn passes_over_what_a_200_repeats() {
    let server = Server::by(|seen| match from(seen) {
        0 => Reply::CutBody { status: 200, headers: Vec::new(), length: 20, body: BLOB[..7].to_vec() },
        _ => answer(200).body(BLOB),
    })
    .await;
    let client = client(&server);
    assert_eq!(read(&client, 20, 5).await.unwrap().concat(), BLOB);
    let body = client.get_blob(&name(), &digest(), 9, soon()).await.unwrap();
    assert_eq!(body.start(), 0);
}

#[tokio::test]
async fn refuses_another_range_than_it_asked_for() {
    for range in ["bytes 8-19/20", "bytes 7-18/20", "bytes 7-19/19", "bytes */20", "7-19/20", ""] {
        let server = Server::by(move |_| answer(206).header("content-range", range).body(&BLOB[7..])).await;
        let refused = client(&server).get_blob(&name(), &digest(), 7, soon()).await.err().unwrap();
        assert_eq!(refused.cause, Cause::Protocol, "{range}");
    }
}

#[tokio::test]
async fn waits_for_no_rest_of_a_416_and_leaves_its_connection() {
    let server = Server::by(|seen| match from(seen) {
        0 => answer(200).body(BLOB),
        _ => Reply::Stall { status: 416, headers: Vec::new(), length: 5000, body: b"range".to_vec() },
    })
    .await;
    let client = client(&server);
    let began = std::time::Instant::now();
    let refused = client.get_blob(&name(), &digest(), 20, soon()).await.err().unwrap();
    assert_eq!(refused.cause, Cause::SizeMismatch);
    client.get_blob(&name(), &digest(), 0, soon()).await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(250), "{:?}", began.elapsed());
    let seen = server.seen();
    assert_ne!(seen[0].connection, seen[1].connection);
}

#[tokio::test]
async fn notices_a_blob_of_another_size() {
    let server = Server::by(|_| answer(200).body(BLOB)).await;
    let client = client(&server);
    for size in [19, 21] {
        assert_eq!(read(&client, size, 100).await.unwrap_err().cause, Cause::SizeMismatch);
    }
}

#[tokio::test]
async fn gives_up_a_blob_that_gets_no_further() {
    let server = Server::by(|seen| match from(seen) {
        0 => Reply::CutBody { status: 200, headers: Vec::new(), length: 20, body: BLOB[..7].to_vec() },
        at => Reply::CutBody {
            status: 206,
            headers: vec![("content-range".to_owned(), format!("bytes {at}-19/20"))],
            length: 13,
            body: Vec::new(),
        },
    })
    .await;
    assert_eq!(read(&client(&server), 20, 20).await.unwrap_err().cause, Cause::Unavailable);
    assert_eq!(server.lines().len(), 4);
}

#[tokio::test]
async fn ends_a_silent_blob() {
    let server = Server::by(|_| Reply::Stall {
        status: 200,
        headers: Vec::new(),
        length: 20,
        body: BLOB[..7].to_vec(),
    })
    .await;
    let mut config = config(&server);
    config.silence = Duration::from_millis(50);
    let client = Client::new(config).unwrap();
    let mut body = client.get_blob(&name(), &digest(), 0, soon()).await.unwrap();
    assert_eq!(body.next().await.unwrap().unwrap(), &BLOB[..7]);
    assert_eq!(body.next().await.unwrap_err().cause, Cause::Unavailable);
}

#[tokio::test]
async fn asks_whether_a_blob_is_there() {
    let server = Server::with([answer(200).header("content-length", "20"), answer(404)]).await;
    let client = client(&server);
    let there = client.head_blob(&name(), &digest(), soon()).await.unwrap();
    assert_eq!(there.unwrap().size, Some(20));
    assert_eq!(client.head_blob(&name(), &digest(), soon()).await.unwrap(), None);
}
