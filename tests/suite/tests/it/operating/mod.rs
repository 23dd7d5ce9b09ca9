//! The command line for operators: the real program against the stack.

mod alarms;

use std::{
    fs,
    process::{Command, Output},
};

use local::{Stack, built_functions};
use serde_json::Value;
use shared::{migration::SkipReason, store::schema::SCRIPTS};
use suite::{data_api_calls, given, heartbeat_of_an_hour_ago, repositories, sql, stack, until_state};

/// What a command came to.
struct Ended {
    status: Option<i32>,
    shown: String,
    said: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { status: output.status.code(), shown: text(output.stdout), said: text(output.stderr) }
    }

    /// Each line as JSON.
    fn lines(&self) -> Vec<Value> {
        self.shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn ended(&self, status: i32, text: &str) {
        let shown = format!("{}{}", self.shown, self.said);
        assert_eq!(self.status, Some(status), "{shown}");
        assert!(shown.contains(text), "{text:?} is not in:\n{shown}");
    }
}

/// Says that the newest schema is there, as `apply-schema` does, and that the mark for the reader is new.
async fn say_schema_version(stack: &Stack) {
    let (newest, _) = SCRIPTS.last().unwrap();
    let versions = format!(
        "CREATE TABLE schema_versions (number integer, name text); INSERT INTO schema_versions VALUES (1, '{newest}');
         GRANT SELECT ON schema_versions TO migration_reader; UPDATE replica_mark SET marked_at = now()"
    );
    sql(stack, &versions).await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
}

/// The program, as ann, with nothing of the caller's.
async fn command(stack: &Stack, arguments: &[&str]) -> Ended {
    let mut command = Command::new(built_functions().unwrap().join("registry-migration"));
    command
        .env_clear()
        .env("REGISTRY_MIGRATION_API", stack.functions().base_url())
        .env("REGISTRY_MIGRATION_TOKEN", stack.operator_token())
        .env("REGISTRY_MIGRATION_OPERATOR", "ann")
        .args(arguments);
    tokio::task::spawn_blocking(move || Ended::of(command.output().unwrap())).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn shows_and_changes_what_the_driver_has() {
    let stack = stack().await.unwrap();
    for (path, state) in [("team/a", "default"), ("team/b", "import_aborted"), ("other/c", "import_done")] {
        given(&stack, path, state, None).await.unwrap();
    }
    stack.pair().wait_until_replayed().await.unwrap();
    let run = async |arguments: &[&str]| command(&stack, arguments).await;

    run(&["status"]).await.ended(0, "migrations are on");
    assert_eq!(run(&["status", "--json"]).await.lines()[0]["left"], 2);
    run(&["list", "--prefix", "team/"]).await.ended(0, "2 repositories");
    assert_eq!(run(&["list", "--json", "--limit", "2"]).await.lines().len(), 2);
    run(&["explain", "team/a"]).await.ended(0, "team/a is default");
    run(&["skip", "team/a", "team/b", "other/c", "--reason", "not_in_plan"])
        .await
        .ended(2, "1 of 3 were refused");
    run(&["history", "team/a"]).await.ended(0, "skip_import");
    run(&["reopen", "--all", "--state", "import_skipped"]).await.ended(0, "2 would be reopened");
    run(&["reopen", "--all", "--state", "import_skipped", "--yes"]).await.ended(0, "2 reopened, 0 left");
    run(&["settings", "enabled=false"]).await.ended(0, "enabled: false (it was true)");
    run(&["start", "team/a"]).await.ended(2, "functions/README.md#migrations-disabled");
    stack.pair().wait_until_replayed().await.unwrap();
    let before = data_api_calls(&stack);
    let report = run(&["report"]).await;
    let asked = stack.data_api().journal().split_off(before);
    let asked =
        asked.iter().filter(|call| !call.sql.as_deref().is_some_and(|sql| sql.contains("WITH itself")));
    assert_eq!(asked.count(), 1, "one page, one call");
    let done = report.lines().into_iter().find(|line| line["repository"] == "other/c").unwrap();
    assert_eq!((&done["state"], report.lines().len()), (&Value::from("import_done"), 3));
    run(&["report", "--by-prefix", "--format", "csv"]).await.ended(0, "team,2,0,0,2,");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn finds_what_is_wrong_and_says_what_to_do() {
    let stack = stack().await.unwrap();
    repositories(&stack, &["canary/image"]).await.unwrap();
    say_schema_version(&stack).await;
    let run = async |arguments: &[&str]| command(&stack, arguments).await;

    let healthy = run(&["doctor", "--json", "--canary", "canary/image"]).await;
    healthy.ended(0, "by its notifications");
    let wrong: Vec<Value> = healthy.lines().into_iter().filter(|check| check["outcome"] != "ok").collect();
    assert_eq!(wrong, Vec::<Value>::new());

    // What the registry refuses, what is old, what is off.
    sql(&stack, "UPDATE schema_versions SET name = '0001_migrations'").await.unwrap();
    heartbeat_of_an_hour_ago(&stack).await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    run(&["settings", "enabled=false"]).await.ended(0, "false");
    let ill = run(&["doctor", "--json"]).await;
    ill.ended(2, "deploy again");
    let of =
        |name: &str| ill.lines().into_iter().find(|check| check["check"] == name).unwrap()["outcome"].clone();
    assert_eq!((of("schema"), of("kill switch"), of("token")), ("bad".into(), "look".into(), "ok".into()));
    until_state(&stack, "canary/image", "import_done").await.unwrap();
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn shows_no_token_and_says_whose_fault_it_is() {
    let stack = stack().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "hunter2").unwrap();
    let file = file.to_str().unwrap();

    let refused = command(&stack, &["status", "--token-file", file]).await;
    refused.ended(3, "OperatorTokenArn");
    assert!(!refused.said.contains("hunter2") && !refused.said.contains(stack.operator_token()));
    command(&stack, &["status", "--api", "http://127.0.0.1:9"]).await.ended(3, "cannot be reached");
    command(&stack, &["status", "--api", "http://registry.example"]).await.ended(1, "--insecure-api");
    command(&stack, &["status", "--token", "hunter2"]).await.ended(1, "unexpected argument");
    stack.stop().await.unwrap();
}

#[test]
fn explains_every_reason_of_a_skip_in_the_handbook() {
    let handbook = include_str!("../../../../../functions/README.md");
    let (_, rest) = handbook.split_once("<!-- reasons -->").unwrap();
    let (table, _) = rest.split_once("<!-- /reasons -->").unwrap();
    for reason in SkipReason::ALL {
        assert!(table.contains(&format!("\n| `{}` | ", reason.name())), "{}", reason.name());
    }
}
