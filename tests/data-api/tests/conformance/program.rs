//! The program: its flags, its file, its end.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::rust_sdk::client;
use crate::stage::{DATABASE, cluster_arn, secret_arn, shared_pair};

const PATIENCE: Duration = Duration::from_secs(60);

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local-data-api"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn ready(child: &mut Child) -> String {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["ready"], json!(true));
    line["url"].as_str().unwrap().to_owned()
}

async fn selects_one(url: &str) -> bool {
    let answer = client(url, "once")
        .execute_statement()
        .resource_arn(cluster_arn("writer"))
        .secret_arn(secret_arn("owner"))
        .sql("select 1")
        .send()
        .await;
    answer.is_ok_and(|output| output.records()[0][0].as_long_value() == Ok(&1))
}

#[tokio::test]
async fn the_program_serves_what_its_flags_and_its_file_say() {
    let pair = shared_pair().await;
    let (host, port) = (&pair.writer().host, pair.writer().port);
    let mut by_flags = program()
        .arg(format!("--cluster={}={host}:{port}", cluster_arn("writer")))
        .arg(format!("--secret={}=postgres:any", secret_arn("owner")))
        .arg(format!("--default-database={DATABASE}"))
        .spawn()
        .unwrap();
    assert!(selects_one(&ready(&mut by_flags).await).await);

    let file = std::env::temp_dir().join(format!("local-data-api-{}.json", std::process::id()));
    let settings = json!({
        "clusters": [{ "arn": cluster_arn("writer"), "host": host, "port": port }],
        "secrets": [{ "arn": secret_arn("owner"), "username": "postgres", "password": "any" }],
        "limits": { "sql_characters": 8 },
    });
    std::fs::write(&file, settings.to_string()).unwrap();
    let mut by_file = program().arg("--config").arg(&file).spawn().unwrap();
    let url = ready(&mut by_file).await;
    std::fs::remove_file(&file).unwrap();
    assert!(selects_one(&url).await);
    let limited = client(&url, "once")
        .execute_statement()
        .resource_arn(cluster_arn("writer"))
        .secret_arn(secret_arn("owner"))
        .sql("select 12")
        .send();
    assert!(limited.await.is_err());

    for mut child in [by_flags, by_file] {
        kill(Pid::from_raw(child.id().unwrap().try_into().unwrap()), Signal::SIGTERM).unwrap();
        let status = tokio::time::timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{status}");
    }
}

#[tokio::test]
async fn what_the_program_cannot_use_is_named() {
    for (arguments, told) in [
        (vec!["--cluster=arn"], "ARN=HOST:PORT"),
        (vec!["--secret=arn=user"], "ARN=USER:PASSWORD"),
        (vec!["--config=/no/such/file"], "/no/such/file"),
        (vec![], "no cluster"),
    ] {
        let output = program().args(&arguments).output().await.unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(told), "{arguments:?}: {error}");
    }
}
