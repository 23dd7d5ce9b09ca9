//! The program, from outside.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Method;
use serde_json::Value;

use crate::bench::Receiver;

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_local-registry"))
}

fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

fn run_well(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Ends with the test, whatever happens.
struct Served {
    child: Child,
    url: String,
}

impl Served {
    fn start(folder: &Path, more: &[&str]) -> Self {
        let path = |name: &str| folder.join(name).display().to_string();
        let mut child = program()
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(["--old-storage", &path("old"), "--new-storage", &path("new")])
            .args(["--token-public-key", &path("public.pem")])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(ready["ready"], true);
        Self { url: ready["url"].as_str().unwrap().to_owned(), child }
    }

    fn terminate(mut self) -> bool {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        self.child.wait().unwrap().success()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn its_help_names_every_command_and_flag() {
    let help = run_well(&["--help"]);
    for command in ["serve", "make-storage", "verify", "make-keys", "token"] {
        assert!(help.contains(command), "{help}");
    }
    let help = run_well(&["serve", "--help"]);
    for flag in ["--listen", "--max-concurrent-imports", "--notification-url", "LOCAL_REGISTRY_OLD_STORAGE"] {
        assert!(help.contains(flag), "{help}");
    }
}

#[test]
fn what_cannot_be_read_or_written_is_told_with_its_path() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    run_well(&["make-keys", &path("")]);
    let serve = |new: &str, listen: &str| {
        let (old, key) = (path("old"), path("certificate.pem"));
        run(&[
            "serve",
            "--old-storage",
            &old,
            "--new-storage",
            new,
            "--token-public-key",
            &key,
            "--listen",
            listen,
        ])
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let held = std::net::TcpListener::bind(&taken).unwrap();
    for (refused, told) in [
        (run(&["make-keys", "/proc/nowhere"]), "/proc/nowhere".to_owned()),
        (run(&["token", "--private-key", "/nonexistent"]), "/nonexistent".to_owned()),
        (run(&["verify", "/nonexistent", "/nonexistent"]), "/nonexistent".to_owned()),
        (serve("/proc/nowhere", "127.0.0.1:0"), "/proc/nowhere".to_owned()),
        (serve(&path("new"), &taken), taken.clone()),
    ] {
        let error = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && error.contains(&told), "{told}: {error}");
    }
    drop(held);
}

#[test]
fn a_flag_that_is_missing_is_named() {
    let output = run(&["serve"]);
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("--old-storage"));
}

#[tokio::test]
async fn migrates_a_storage_and_notifies_when_terminated() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    run_well(&["make-keys", &path("")]);
    run_well(&["make-storage", &path("old"), "--repositories", "2"]);
    let token = run_well(&["token", "--private-key", &path("private.pem")]);
    let receiver = Receiver::start().await;
    let (template, first) = (receiver.url_template(), "group-0/project-0/image-000");
    let served = Served::start(
        folder.path(),
        &["--notification-url", &template, "--notification-secret", "s", "--final-step-ms", "0"],
    );
    let client = reqwest::Client::new();
    let start = |path: &str, step: &str| {
        let url = format!("{}/gitlab/v1/import/{path}/?import_type={step}", served.url);
        client.request(Method::PUT, url).bearer_auth(token.trim()).send()
    };
    for (number, step) in ["pre", "final"].into_iter().enumerate() {
        assert_eq!(start(first, step).await.unwrap().status(), 202);
        receiver.wait_for(number + 1).await;
    }
    let compared = run(&["verify", &path("old"), &path("new")]);
    let lines = String::from_utf8(compared.stdout).unwrap();
    assert!(!compared.status.success(), "only one of two is migrated: {lines}");
    let equal: Vec<bool> =
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["equal"] == true).collect();
    assert_eq!(equal, [true, false]);

    let rule = r#"{"effect":{"kind":"hold","at":"work"}}"#;
    client.post(format!("{}/-/rules", served.url)).body(rule).send().await.unwrap();
    assert_eq!(start("group-1/project-1/image-001", "pre").await.unwrap().status(), 202);
    assert!(tokio::task::spawn_blocking(move || served.terminate()).await.unwrap());
    let last = receiver.wait_for(3).await.remove(2);
    assert_eq!((last.status(), &last.body["detail"]), ("pre_import_canceled", &"forced cancelation".into()));
}
