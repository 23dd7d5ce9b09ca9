//! A server whose data stay: opened again after every kind of end.

#![allow(clippy::unwrap_used, reason = "clippy sees the helpers of a test as ordinary code")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use postgres_server::Durable;
use tempfile::TempDir;
use tokio_postgres::NoTls;

/// A folder that the account of a server can reach.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

async fn open(folder: &TempDir) -> Durable {
    Durable::open(&folder.path().join("database")).await.unwrap()
}

async fn keep(server: &Durable, text: &str) {
    let client = server.connect().await.unwrap();
    client.batch_execute("CREATE TABLE IF NOT EXISTS note (text text NOT NULL)").await.unwrap();
    client.execute("INSERT INTO note VALUES ($1)", &[&text]).await.unwrap();
}

async fn kept(server: &Durable) -> Vec<String> {
    let client = server.connect().await.unwrap();
    let rows = client.query("SELECT text FROM note ORDER BY text", &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn kill_server(server: &Durable) {
    let pid = server.pid().await.unwrap();
    kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGKILL).unwrap();
    server.ended().await;
}

fn pid_file(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("database/data/postmaster.pid")
}

#[tokio::test]
async fn keeps_its_data_over_every_kind_of_end() {
    let folder = folder();
    let server = open(&folder).await;
    keep(&server, "an orderly end").await;
    server.close().await.unwrap();

    let server = open(&folder).await;
    keep(&server, "dropped").await;
    drop(server);

    let server = open(&folder).await;
    keep(&server, "killed").await;
    kill_server(&server).await;
    drop(server);
    assert!(pid_file(&folder).exists());

    let server = open(&folder).await;
    assert_eq!(kept(&server).await, ["an orderly end", "dropped", "killed"]);
    server.close().await.unwrap();
    assert!(!pid_file(&folder).exists());
}

#[tokio::test]
async fn opens_where_a_dead_servers_number_is_anothers() {
    let folder = folder();
    let server = open(&folder).await;
    keep(&server, "killed").await;
    kill_server(&server).await;
    drop(server);
    // A process that has nothing to do with it has the number now, as after a reboot.
    let mut stranger = std::process::Command::new("sh")
        .args(["-c", "read -r line"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let text = fs::read_to_string(pid_file(&folder)).unwrap();
    let (_, rest) = text.split_once('\n').unwrap();
    fs::write(pid_file(&folder), format!("{}\n{rest}", stranger.id())).unwrap();

    let server = open(&folder).await;

    assert_eq!(kept(&server).await, ["killed"]);
    server.close().await.unwrap();
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[tokio::test]
async fn waits_for_an_earlier_server_to_end() {
    let folder = folder();
    let earlier = open(&folder).await;
    let path = folder.path().join("database");
    let later = tokio::spawn(async move { Durable::open(&path).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!later.is_finished());

    keep(&earlier, "at the last moment").await;
    earlier.close().await.unwrap();

    let later = later.await.unwrap().unwrap();
    assert_eq!(kept(&later).await, ["at the last moment"]);
    later.close().await.unwrap();
}

#[tokio::test]
async fn begins_anew_where_the_making_was_broken_off() {
    let folder = folder();
    let unfinished = folder.path().join("database/unfinished");
    fs::create_dir_all(&unfinished).unwrap();
    fs::write(unfinished.join("PG_VERSION"), "15\n").unwrap();
    let server = open(&folder).await;
    keep(&server, "made").await;
    assert!(!unfinished.exists());
    server.close().await.unwrap();
}

#[tokio::test]
async fn writes_commits_to_the_disk_and_asks_for_a_password() {
    let folder = folder();
    let server = open(&folder).await;
    let client = server.connect().await.unwrap();
    for (setting, expected) in [("fsync", "on"), ("synchronous_commit", "on"), ("full_page_writes", "on")] {
        let value: String = client.query_one(&format!("SHOW {setting}"), &[]).await.unwrap().get(0);
        assert_eq!(value, expected, "{setting}");
    }
    let strangers = format!("postgres://postgres:wrong@127.0.0.1:{}/migrations", server.port());
    let Err(error) = tokio_postgres::connect(&strangers, NoTls).await else { panic!("a stranger came in") };
    assert_eq!(error.code().unwrap().code(), "28P01");
    let password = folder.path().join("database/password");
    assert_eq!(fs::metadata(password).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(
        !format!("{server:?}")
            .contains(&fs::read_to_string(folder.path().join("database/password")).unwrap())
    );
    server.close().await.unwrap();
}

#[tokio::test]
async fn names_the_version_that_is_not_installed() {
    let folder = folder();
    let data = folder.path().join("database/data");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("PG_VERSION"), "9\n").unwrap();
    let error = Durable::open(Path::new(&folder.path().join("database"))).await.unwrap_err();
    assert_eq!(error.to_string(), "the data are PostgreSQL 9's, and that version is not installed");
}
