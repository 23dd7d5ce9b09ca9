//! The pair as its users see it: staleness that is exact, restarts, promotion, and nothing left behind.

#![allow(clippy::unwrap_used, reason = "clippy sees the helpers of a test as ordinary code")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use postgres_pair::{Pair, PairOptions, Server};

async fn pair_with_a_table() -> Pair {
    let pair = Pair::start(PairOptions::default()).await.unwrap();
    execute(pair.writer(), "CREATE TABLE note (text text NOT NULL)").await;
    pair.wait_until_replayed().await.unwrap();
    pair
}

async fn execute(server: &Server, sql: &str) {
    server.connect().await.unwrap().batch_execute(sql).await.unwrap();
}

async fn count(server: &Server) -> i64 {
    let client = server.connect().await.unwrap();
    client.query_one("SELECT count(*) FROM note", &[]).await.unwrap().get(0)
}

async fn in_recovery(server: &Server) -> bool {
    server.connect().await.unwrap().query_one("SELECT pg_is_in_recovery()", &[]).await.unwrap().get(0)
}

fn alive(pid: u64) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

async fn until_gone(pids: &[u64], folder: &Path) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while pids.iter().any(|pid| alive(*pid)) || folder.exists() {
        assert!(Instant::now() < deadline, "left behind: {pids:?} or {}", folder.display());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_writer_is_a_primary_and_the_reader_refuses_writes() {
    let pair = pair_with_a_table().await;
    assert!(!in_recovery(pair.writer()).await);
    assert!(in_recovery(pair.reader()).await);

    let reader = pair.reader().connect().await.unwrap();
    let error = reader.batch_execute("INSERT INTO note VALUES ('x')").await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "25006");
    pair.stop().await.unwrap();
}

#[tokio::test]
async fn a_paused_replica_does_not_show_a_commit_until_it_is_resumed() {
    let pair = pair_with_a_table().await;
    pair.pause_replay().await.unwrap();
    execute(pair.writer(), "INSERT INTO note VALUES ('committed')").await;
    assert_eq!((count(pair.writer()).await, count(pair.reader()).await), (1, 0));

    pair.resume_replay().await.unwrap();
    pair.wait_until_replayed().await.unwrap();
    assert_eq!(count(pair.reader()).await, 1);
    pair.stop().await.unwrap();
}

#[tokio::test]
async fn delays_each_commit_by_the_lag_until_it_is_ended() {
    let pair = pair_with_a_table().await;
    let lag = Duration::from_millis(700);
    pair.set_lag(lag).await.unwrap();
    let committed = Instant::now();
    execute(pair.writer(), "INSERT INTO note VALUES ('late')").await;
    assert_eq!(count(pair.reader()).await, 0);
    pair.wait_until_replayed().await.unwrap();
    assert!(committed.elapsed() >= lag, "shown after {:?}", committed.elapsed());
    assert_eq!(count(pair.reader()).await, 1);

    pair.set_lag(Duration::ZERO).await.unwrap();
    let committed = Instant::now();
    execute(pair.writer(), "INSERT INTO note VALUES ('soon')").await;
    pair.wait_until_replayed().await.unwrap();
    assert!(committed.elapsed() < lag, "still delayed: {:?}", committed.elapsed());
    pair.stop().await.unwrap();
}

#[tokio::test]
async fn each_server_keeps_its_port_and_its_data_over_a_restart() {
    let pair = pair_with_a_table().await;
    let ports = (pair.writer().port, pair.reader().port);
    pair.restart_writer().await.unwrap();
    execute(pair.writer(), "INSERT INTO note VALUES ('after the restart')").await;
    pair.stop_reader().await.unwrap();
    assert!(pair.reader().connect().await.is_err());
    execute(pair.writer(), "INSERT INTO note VALUES ('while the reader was down')").await;
    pair.start_reader().await.unwrap();
    pair.wait_until_replayed().await.unwrap();
    assert_eq!(count(pair.reader()).await, 2);
    assert_eq!(ports, (pair.writer().port, pair.reader().port));
    pair.stop().await.unwrap();
}

#[tokio::test]
async fn a_promoted_reader_takes_writes() {
    let pair = pair_with_a_table().await;
    pair.promote_reader().await.unwrap();
    assert!(!in_recovery(pair.reader()).await);
    execute(pair.reader(), "INSERT INTO note VALUES ('on the new primary')").await;
    assert_eq!((count(pair.writer()).await, count(pair.reader()).await), (0, 1));
    pair.stop().await.unwrap();
}

#[tokio::test]
async fn a_dropped_pair_leaves_neither_process_nor_folder() {
    let pair = Pair::start(PairOptions::default()).await.unwrap();
    let pids = [pair.writer().pid().await.unwrap().into(), pair.reader().pid().await.unwrap().into()];
    let folder = pair.folder().to_owned();
    assert!(folder.exists() && pids.iter().all(|pid| alive(*pid)));
    drop(pair);
    assert!(!folder.exists() && !pids.iter().any(|pid| alive(*pid)));
}

#[tokio::test]
async fn a_killed_owner_leaves_neither_process_nor_folder() {
    let mut owner = Command::new(env!("CARGO_BIN_EXE_postgres-pair"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(owner.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let said: serde_json::Value = serde_json::from_str(&line).unwrap();
    let pids: Vec<u64> = said["pids"].as_array().unwrap().iter().map(|pid| pid.as_u64().unwrap()).collect();
    let folder = Path::new(said["folder"].as_str().unwrap());
    assert!(folder.exists() && pids.iter().all(|pid| alive(*pid)));

    owner.kill().unwrap();
    owner.wait().unwrap();
    until_gone(&pids, folder).await;
}
