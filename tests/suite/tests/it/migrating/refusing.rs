//! What a run refuses, and with which status.

use std::process::Command;

use super::bench::{Bench, command, ended, image};

fn run(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn refuses_wrong_usage_and_repeats_no_password() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state").display().to_string();
    for arguments in [
        &["run"][..],
        &[
            "run",
            "--from",
            "https://user:hunter2@old.example",
            "--to",
            "https://new.example",
            "--state",
            &state,
        ],
        &[
            "run",
            "--from",
            "https://old.example",
            "--to",
            "https://new.example?password=hunter2",
            "--state",
            &state,
        ],
        &["run", "--from", "http://old.example", "--to", "https://new.example", "--state", &state],
        &[
            "run",
            "--from",
            "https://old.example",
            "--to",
            "https://new.example",
            "--state",
            &state,
            "--only",
            "a[",
        ],
        &[
            "run",
            "--from",
            "https://old.example",
            "--to",
            "https://new.example",
            "--state",
            &state,
            "--max-bandwidth",
            "fast",
        ],
        &[
            "run",
            "--from",
            "https://old.example",
            "--to",
            "https://new.example",
            "--state",
            &state,
            "--from-auth",
            "/nonexistent",
        ],
        &["limit", "--state", &state],
    ] {
        let (status, text) = run(command().args(arguments));
        assert_eq!(status, Some(1), "{arguments:?}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert!(!folder.path().join("state").exists(), "nothing was begun");
    assert_eq!(run(command().args(["run", "--help"])).0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_rules_that_fit_nothing_and_a_state_of_another() {
    let bench = Bench::start(&[("team/app", "v1", image(1, &[1_000]))]);
    let slip = bench.run(&["--only", "tem"]);
    assert_eq!(slip.status, Some(1), "{}", slip.output);
    assert!(slip.output.contains("--only tem fits no repository"), "{}", slip.output);
    let source = bench.source.url();
    let state = bench.state().display().to_string();
    let (status, text) = run(command().args(["run", "--from", &source, "--to", &source, "--state", &state]));
    assert_eq!(status, Some(3), "{text}");
    assert!(text.contains("is the state of a migration"), "{text}");
    let state = bench.folder.path().join("other").display().to_string();
    let (status, text) = run(command().args(["run", "--from", &source, "--to", &source, "--state", &state]));
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("copied onto itself"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_which_registry_cannot_be_used() {
    let bench = Bench::start(&[("team/app", "v1", image(1, &[1_000]))]);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let state = bench.state().display().to_string();
    let to = format!("http://{closed}");
    let gone = command()
        .args(["run", "--from", &bench.source.url(), "--to", &to, "--state", &state])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let gone = ended(gone);
    assert_eq!(gone.status, Some(3), "{}", gone.output);
    assert!(gone.output.contains("the target"), "{}", gone.output);
}
