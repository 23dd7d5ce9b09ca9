//! The cases, driven by boto3: an independent client, which also holds every answer against botocore's model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

use crate::cases::all;
use crate::stage::{Stage, names};

#[tokio::test]
async fn every_case_holds_for_boto3() {
    let python = python();
    assert!(
        python.exists(),
        "{} is missing: tests/setup.sh makes it (a Python environment with boto3)",
        python.display()
    );
    let stage = Stage::set().await;
    let cases = all();
    let setting = json!({ "servers": stage.urls(), "names": names(), "cases": cases });
    let mut driver = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/driver.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = driver.stdin.take().unwrap();
    input.write_all(format!("{setting}\n").as_bytes()).await.unwrap();
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let mut told: BTreeMap<String, Value> = BTreeMap::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        let line: Value = serde_json::from_str(&line).unwrap();
        if line["listen"] == true {
            stage.listen();
            input.write_all(b"listening\n").await.unwrap();
        } else {
            told.insert(line["name"].as_str().unwrap().to_owned(), line["wrong"].clone());
        }
    }
    let status = driver.wait().await.unwrap();
    stage.strike().await;
    assert!(status.success(), "the driver ended with {status}");

    let wrong: Vec<String> = cases
        .iter()
        .filter(|case| told.get(&case.name) != Some(&Value::Null))
        .map(|case| format!("{}: {}", case.name, told.get(&case.name).unwrap_or(&json!("not driven"))))
        .collect();
    let wrong: Vec<String> = wrong.iter().map(|told| told.chars().take(600).collect()).collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// `target/tools/python` at the workspace's root, wherever Cargo builds.
fn python() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/python/bin/python")
}
