//! `local up` from start to end, however it ends: what it says, what it does, and that nothing is left.

#![allow(clippy::unwrap_used, reason = "clippy sees the helpers of a test as ordinary code")]

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use local::postgres_pair::replay;
use local::{Function, StackFile};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio_postgres::NoTls;

/// A `local up` whose every file is in a folder of the test.
struct Up {
    child: Child,
    temporary: TempDir,
    announced: TempDir,
}

impl Up {
    fn start(arguments: &[&str]) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        // PostgreSQL may run under another account, which has to get through.
        std::fs::set_permissions(temporary.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let announced = tempfile::tempdir().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_local"))
            .arg("up")
            .args(arguments)
            .env("TMPDIR", temporary.path())
            .env("LOCAL_FOLDER", announced.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, temporary, announced }
    }

    fn until_ready(&mut self) -> StackFile {
        let mut line = String::new();
        BufReader::new(self.child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn lag(&self, what: &str) {
        assert_eq!(self.lag_refused(what), None);
    }

    /// What the command says where it does not do it.
    fn lag_refused(&self, what: &str) -> Option<String> {
        let mut lag = Command::new(env!("CARGO_BIN_EXE_local"));
        let done = lag.args(["lag", what]).env("LOCAL_FOLDER", self.announced.path()).output().unwrap();
        (!done.status.success()).then(|| String::from_utf8(done.stderr).unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Waits until none of the processes is left and the temporary folder is empty.
    fn until_nothing_is_left(&mut self, pids: &[u32]) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the command does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        loop {
            let files = std::fs::read_dir(self.temporary.path()).unwrap().flatten().map(|entry| entry.path());
            let files: Vec<_> = files.collect();
            let alive: Vec<_> = pids.iter().filter(|pid| is_alive(**pid)).collect();
            if files.is_empty() && alive.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "left behind: {files:?}, processes {alive:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // Only a failed test comes here with a process that still runs.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_alive(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

fn descendants(of: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{of}/task")).into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let children: Vec<u32> = children
        .flat_map(|line| line.split(' ').filter_map(|pid| pid.trim().parse().ok()).collect::<Vec<_>>())
        .collect();
    let further = children.iter().flat_map(|child| descendants(*child)).collect::<Vec<_>>();
    children.into_iter().chain(further).collect()
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

async fn count(dsn: &str) -> i64 {
    let (client, connection) = tokio_postgres::connect(dsn, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.query_one("SELECT count(*) FROM container_repositories", &[]).await.unwrap().get(0)
}

async fn insert(dsn: &str, path: &str) {
    let (client, connection) = tokio_postgres::connect(dsn, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.execute("INSERT INTO container_repositories (path) VALUES ($1)", &[&path]).await.unwrap();
}

#[tokio::test]
async fn the_stack_answers_obeys_lag_and_leaves_nothing_at_sigterm() {
    let mut up = Up::start(&[]);
    let stack = up.until_ready();
    assert!(stack.ready && stack.functions.len() == Function::ALL.len());

    let answer = reqwest::Client::new()
        .get(format!("{}/migrations", stack.base_url))
        .bearer_auth(&stack.operator_token)
        .timeout(Duration::from_secs(20))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.json::<serde_json::Value>().await.unwrap()["served_by"], "reader");

    up.lag("pause");
    insert(&stack.writer_dsn, "group/image").await;
    assert_eq!((count(&stack.writer_dsn).await, count(&stack.reader_dsn).await), (1, 0));
    up.lag("resume");
    replay::delay(&stack.reader_dsn, Duration::ZERO).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while count(&stack.reader_dsn).await == 0 {
        assert!(Instant::now() < deadline, "the reader does not catch up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let announced = up.announced.path().join("stack.json");
    assert!(announced.exists());
    let pids: Vec<u32> = stack.pids.values().copied().collect();
    assert!(pids.len() > 30 && pids.iter().all(|pid| is_alive(*pid)));
    up.signal(Signal::SIGTERM);
    up.until_nothing_is_left(&pids);
    assert!(!announced.exists());
}

#[tokio::test]
async fn a_lag_that_the_topology_does_not_have_is_refused_in_words() {
    let mut up = Up::start(&["--no-functions", "--topology", "single"]);
    let stack = up.until_ready();
    for what in ["pause", "resume", "500"] {
        let refusal = up.lag_refused(what).unwrap();
        assert!(refusal.contains("nothing lags in the topology single"), "{what}: {refusal}");
    }
    up.signal(Signal::SIGINT);
    up.until_nothing_is_left(&stack.pids.values().copied().collect::<Vec<_>>());

    let mut up = Up::start(&["--no-functions", "--topology", "replica-cluster"]);
    let stack = up.until_ready();
    let refusal = up.lag_refused("500").unwrap();
    assert!(refusal.contains("paused and resumed, not delayed"), "{refusal}");
    up.lag("pause");
    insert(&stack.writer_dsn, "group/image").await;
    assert_eq!(count(&stack.reader_dsn).await, 0);
    up.lag("resume");
    let deadline = Instant::now() + Duration::from_secs(20);
    while count(&stack.reader_dsn).await == 0 {
        assert!(Instant::now() < deadline, "the reader does not catch up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    up.signal(Signal::SIGINT);
    up.until_nothing_is_left(&stack.pids.values().copied().collect::<Vec<_>>());
}

#[test]
fn ctrl_c_in_the_middle_of_the_start_leaves_nothing() {
    let mut up = Up::start(&[]);
    let folder = up.temporary.path().to_owned();
    until("the servers are being made", || {
        let entries = std::fs::read_dir(&folder).unwrap().flatten();
        entries.filter(|entry| entry.path().join("writer/postmaster.pid").exists()).count() > 0
    });
    let pids = descendants(up.child.id());
    assert!(!pids.is_empty());
    up.signal(Signal::SIGINT);
    up.until_nothing_is_left(&pids);
}

#[test]
fn a_killed_stack_leaves_nothing() {
    let mut up = Up::start(&[]);
    let stack = up.until_ready();
    let pids: Vec<u32> = stack.pids.values().copied().collect();
    up.signal(Signal::SIGKILL);
    up.until_nothing_is_left(&pids);
}
