//! `local up` from start to end, however it ends: what it says, what it does, and that nothing is left.

#![allow(clippy::unwrap_used, reason = "clippy sees the helpers of a test as ordinary code")]

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use local::local_registry::certifies;
use local::{Function, StackFile};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio_postgres::NoTls;

/// A `local up` whose every file is in a folder of the test.
struct Up {
    child: Child,
    temporary: TempDir,
    announced: TempDir,
}

/// A folder that PostgreSQL, which may run under another account, can get through.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// The command, with its announcement in `announced`.
fn local(announced: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    command.env("LOCAL_FOLDER", announced).stdin(Stdio::null());
    command
}

impl Up {
    fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, |_| {})
    }

    fn start_with(arguments: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let (temporary, announced) = (folder(), tempfile::tempdir().unwrap());
        let mut command = local(announced.path());
        command.arg("up").args(arguments).env("TMPDIR", temporary.path()).stdout(Stdio::piped());
        change(&mut command);
        Self { child: command.spawn().unwrap(), temporary, announced }
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
        let done = local(self.announced.path()).args(["lag", what]).output().unwrap();
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
    // No lag is no pause either.
    up.lag("0");
    let deadline = Instant::now() + Duration::from_secs(20);
    while count(&stack.reader_dsn).await == 0 {
        assert!(Instant::now() < deadline, "the reader does not catch up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let second = local(up.announced.path()).arg("up").output().unwrap();
    let refusal = String::from_utf8(second.stderr).unwrap();
    assert!(!second.status.success() && refusal.contains("another stack has its files"), "{refusal}");
    let certificate = std::fs::read_to_string(up.announced.path().join("registry-token.pem")).unwrap();
    assert_eq!(certificate, stack.registry_token_certificate);
    assert!(certificate.starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(certifies(&certificate, &stack.registry_token_public_key));

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
fn ctrl_c_while_files_are_copied_tells_of_no_failure() {
    // A cp that waits until it is let go on.
    let programs = folder();
    let (begun, go) = (programs.path().join("begun"), programs.path().join("go"));
    let script = format!(
        "#!/bin/sh\n: >{}\nuntil [ -e {} ]; do sleep 0.02; done\nexec /bin/cp \"$@\"\n",
        begun.display(),
        go.display()
    );
    let cp = programs.path().join("cp");
    std::fs::write(&cp, script).unwrap();
    std::fs::set_permissions(&cp, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", programs.path().display(), std::env::var("PATH").unwrap());
    let mut up = Up::start_with(&["--no-functions"], |command| {
        // As at a terminal, which signals the whole group.
        command.env("PATH", path).process_group(0).stderr(Stdio::piped());
    });
    until("a copy is being made", || begun.exists());
    killpg(Pid::from_raw(up.child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    std::fs::write(&go, "").unwrap();
    up.until_nothing_is_left(&[]);
    let mut words = String::new();
    up.child.stderr.take().unwrap().read_to_string(&mut words).unwrap();
    assert!(!words.contains("failed"), "{words}");
}

#[test]
fn the_printed_command_runs_when_it_is_pasted() {
    let mut up = Up::start_with(&["--no-functions"], |command| {
        command.stderr(Stdio::piped());
    });
    up.until_ready();
    let lines = BufReader::new(up.child.stderr.take().unwrap()).lines();
    let words: Vec<String> =
        lines.map(Result::unwrap).take_while(|line| !line.contains("Ctrl-C ends")).collect();
    assert!(words.iter().any(|line| line.contains("no schedule ticks")), "{words:?}");
    let command = words.iter().find(|line| line.contains("lambda watch")).unwrap();
    // Another terminal knows nothing of where cargo-lambda was put.
    let pasted = Command::new("sh")
        .args(["-c", &format!("{command} --help")])
        .current_dir("/")
        .env("PATH", "/usr/bin:/bin")
        .output()
        .unwrap();
    assert!(pasted.status.success(), "{command}: {pasted:?}");
    up.signal(Signal::SIGTERM);
    up.until_nothing_is_left(&[]);
}

#[test]
fn says_at_once_that_the_stack_is_ending() {
    let mut up = Up::start_with(&["--no-functions"], |command| {
        command.stderr(Stdio::piped());
    });
    up.until_ready();
    let mut lines = BufReader::new(up.child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.by_ref().any(|line| line.contains("Ctrl-C ends the stack")));
    up.signal(Signal::SIGTERM);
    assert_eq!(lines.next().as_deref(), Some("Ending the stack …"));
    up.until_nothing_is_left(&[]);
}

#[test]
fn what_cannot_be_done_is_told_with_its_path() {
    let announced = tempfile::tempdir().unwrap();
    for (arguments, variable, path) in [
        (&["up", "--storage", "/nonexistent"][..], None, "/nonexistent"),
        (&["demo", "--storage", "/nonexistent"], None, "/nonexistent"),
        (&["list-storage", "/nonexistent"], None, "/nonexistent"),
        (&["lag", "0"], None, "stack.json"),
        (&["up"], Some(("LOCAL_FOLDER", "/proc/nowhere")), "/proc/nowhere"),
        (&["up", "--no-functions"], Some(("TMPDIR", "/nonexistent")), "/nonexistent"),
    ] {
        let refused = local(announced.path()).args(arguments).envs(variable).output().unwrap();
        let words = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && words.contains(path), "{arguments:?}: {words}");
    }
}

#[test]
fn a_full_disk_is_told_and_a_closed_pipe_too() {
    let storage = tempfile::tempdir().unwrap();
    let image = local::local_registry::storage::ImageOptions::small(1);
    local::local_registry::storage::Storage::new(storage.path())
        .write_image("group/image", &["v1", "v2"], &image)
        .unwrap();
    let list = |out: Stdio| {
        let mut command = local(storage.path());
        command.arg("list-storage").arg(storage.path()).stdout(out).stderr(Stdio::piped());
        command.spawn().unwrap().wait_with_output().unwrap()
    };
    let listed = String::from_utf8(list(Stdio::piped()).stdout).unwrap();
    assert_eq!(listed, "{\"path\":\"group/image\",\"tags_count\":2}\n");

    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (read, written) = std::io::pipe().unwrap();
    drop(read);
    for out in [Stdio::from(full), Stdio::from(written)] {
        let ended = list(out);
        let words = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{words}");
        assert!(words.contains("cannot write to standard output"), "{words}");
    }
}

#[test]
fn a_killed_stack_leaves_nothing() {
    let mut up = Up::start(&[]);
    let stack = up.until_ready();
    let pids: Vec<u32> = stack.pids.values().copied().collect();
    up.signal(Signal::SIGKILL);
    up.until_nothing_is_left(&pids);
}
