//! The program: its flags, its file, its end.

use std::process::Stdio;
use std::time::Duration;

use aws_sdk_rdsdata::error::ProvideErrorMetadata;
use aws_sdk_rdsdata::operation::execute_statement::builders::ExecuteStatementFluentBuilder;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::rust_sdk::client;
use crate::stage::{DATABASE, cluster_arn, connect, secret_arn, shared_pair};

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

fn statement(url: &str, sql: &str) -> ExecuteStatementFluentBuilder {
    client(url, "once")
        .execute_statement()
        .resource_arn(cluster_arn("writer"))
        .secret_arn(secret_arn("owner"))
        .sql(sql)
}

async fn selects_one(url: &str) -> bool {
    let answer = statement(url, "select 1").send().await;
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
    assert!(statement(&url, "select 12").send().await.is_err());

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
        (vec!["--any-arn=user@host:1"], "USER:PASSWORD@HOST:PORT"),
        (vec!["--any-arn=user:password@host:1", "--init=/no/such.sql"], "/no/such.sql"),
        (vec!["--any-arn=user:password@host:1", "--tls-ca=/no/such.pem"], "/no/such.pem"),
        (vec![], "no cluster"),
    ] {
        let output = program().args(&arguments).output().await.unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(told), "{arguments:?}: {error}");
    }
}

fn any_arn(pair: &postgres_pair::Pair) -> String {
    format!("postgres:pass word@{}:{}", pair.writer().host, pair.writer().port)
}

fn terminate(child: &Child) {
    kill(Pid::from_raw(child.id().unwrap().try_into().unwrap()), Signal::SIGTERM).unwrap();
}

#[tokio::test]
async fn configures_itself_by_environment_for_any_arn() {
    let pair = shared_pair().await;
    let file = tempfile("init.sql");
    std::fs::write(&file, "CREATE TABLE made_by_init (a int); INSERT INTO made_by_init VALUES (7), (8);")
        .unwrap();
    let mut child = program()
        .env("LOCAL_DATA_API_ANY_ARN", any_arn(pair))
        .env("LOCAL_DATA_API_DEFAULT_DATABASE", DATABASE)
        .env("LOCAL_DATA_API_INIT", &file)
        .env("LOCAL_DATA_API_LOG", "info")
        .spawn()
        .unwrap();
    let url = ready(&mut child).await;
    std::fs::remove_file(&file).unwrap();
    for name in ["one", "another"] {
        let answer = client(&url, "once")
            .execute_statement()
            .resource_arn(cluster_arn(name))
            .secret_arn(secret_arn(name))
            .sql("select sum(a) as total from made_by_init where a < 100 and 'in the text' = 'in the text'")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.records()[0][0].as_long_value(), Ok(&15));
    }
    terminate(&child);
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success());
    let log = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("ExecuteStatement")).collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines[1].contains("status=200") && lines[1].contains(&cluster_arn("another")), "{log}");
    assert!(!log.contains("in the text") && !log.contains("pass word"), "{log}");
}

#[tokio::test]
async fn help_shows_no_password_of_the_environment() {
    let mut command = program();
    let output =
        command.arg("--help").env("LOCAL_DATA_API_ANY_ARN", "user:hidden@host:1").output().await.unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("LOCAL_DATA_API_ANY_ARN") && !help.contains("hidden"), "{help}");
}

#[tokio::test]
async fn a_script_that_fails_ends_the_program_with_its_error() {
    let pair = shared_pair().await;
    let file = tempfile("broken.sql");
    std::fs::write(&file, "SELECT 1; SELECT nothing FROM nowhere").unwrap();
    let output = program()
        .arg(format!("--any-arn={}", any_arn(pair)))
        .arg("--init")
        .arg(&file)
        .output()
        .await
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(error.contains("broken.sql") && error.contains("relation \"nowhere\" does not exist"), "{error}");
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test]
async fn what_runs_at_the_end_is_cancelled() {
    let pair = shared_pair().await;
    let watch = connect(&pair.writer().dsn()).await;
    watch.batch_execute("CREATE TABLE at_the_end (a int)").await.unwrap();
    let mut child = program()
        .arg(format!("--any-arn={}", any_arn(pair)))
        .arg(format!("--default-database={DATABASE}"))
        .spawn()
        .unwrap();
    let url = ready(&mut child).await;
    let call = statement(&url, "insert into at_the_end select 1 from pg_sleep(20)").send();
    let count = async |sql: &str| watch.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
    let running = "SELECT count(*) FROM pg_stat_activity \
                   WHERE state = 'active' AND query LIKE 'insert into at_the_end%'";
    let end = async {
        while count(running).await == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        terminate(&child);
    };
    let (answer, ()) = tokio::join!(call, end);
    assert_cancelled(&answer.unwrap_err());
    assert!(tokio::time::timeout(PATIENCE, child.wait()).await.unwrap().unwrap().success());
    // PostgreSQL tells of the cancellation before it is done with it.
    tokio::time::timeout(PATIENCE, async {
        while count(running).await > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(count("SELECT count(*) FROM at_the_end").await, 0);
}

/// Between the call and PostgreSQL there is only a connection that opens late: nothing can be cancelled at first.
#[tokio::test]
async fn what_still_connects_at_the_end_is_cancelled() {
    let pair = shared_pair().await;
    let door = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = door.local_addr().unwrap().port();
    let mut child = program()
        .arg(format!("--any-arn=postgres:any@127.0.0.1:{port}"))
        .arg(format!("--default-database={DATABASE}"))
        .spawn()
        .unwrap();
    let url = ready(&mut child).await;
    let call = statement(&url, "select 1 from pg_sleep(20)").send();
    let own_address = url.trim_start_matches("http://").to_owned();
    let end = async {
        let mut waiting = Some(door.accept().await.unwrap().0);
        terminate(&child);
        // It listens no more: the end has begun.
        while TcpStream::connect(&own_address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        loop {
            let mut from = match waiting.take() {
                Some(first) => first,
                None => door.accept().await.unwrap().0,
            };
            let mut to = TcpStream::connect((pair.writer().host.as_str(), pair.writer().port)).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut from, &mut to).await });
        }
    };
    let answer = tokio::select! {
        answer = call => answer,
        () = end => unreachable!("it accepts for ever"),
    };
    assert_cancelled(&answer.unwrap_err());
    assert!(tokio::time::timeout(PATIENCE, child.wait()).await.unwrap().unwrap().success());
}

fn assert_cancelled(error: &(impl ProvideErrorMetadata + std::fmt::Debug)) {
    assert!(error.message().is_some_and(|message| message.ends_with("; SQLState: 57014")), "{error:?}");
}

/// The most that the process has held, in KiB.
fn peak(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn no_request_or_result_takes_much_memory() {
    let pair = shared_pair().await;
    let mut child = program().arg(format!("--any-arn={}", any_arn(pair))).spawn().unwrap();
    let url = ready(&mut child).await;
    let execute = async |sql: &str, members: Value| {
        let mut body =
            json!({ "resourceArn": cluster_arn("any"), "secretArn": secret_arn("any"), "sql": sql });
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let path = if members.get("parameterSets").is_some() { "/BatchExecute" } else { "/Execute" };
        crate::wire::post(&url, path, &body.to_string()).await
    };
    let text = |length: usize| json!({ "parameters": [{ "name": "v", "value": { "stringValue": "x".repeat(length) } }] });
    execute("select 1", json!({})).await;
    let before = peak(&child);
    for (sql, members, status) in [
        ("select '' from generate_series(1, 1000000)".to_owned(), json!({}), 400),
        ("select null, null, null, null from generate_series(1, 1000000)".to_owned(), json!({}), 400),
        ("select repeat('x', 200000000)".to_owned(), json!({}), 400),
        ("select array_agg(n) from generate_series(1, 2000000) n".to_owned(), json!({}), 400),
        ("do $$ begin raise exception '%', repeat('x', 100000000); end $$".to_owned(), json!({}), 400),
        ("do $$ begin raise notice '%', repeat('x', 100000000); end $$".to_owned(), json!({}), 200),
        (format!("select length(:v){}", " + length(:v)".repeat(4000)), text(3_000_000), 400),
        ("select length(:v)".to_owned(), text(3_000_000), 200),
        ("select length(:v) + length(:v)".to_owned(), text(2_000_000), 200),
        ("select :v".to_owned(), text(5_000_000), 413),
        ("select :v".to_owned(), text(40_000_000), 413),
        ("select 1".to_owned(), json!({ "parameters": vec![json!({}); 1_000_000] }), 400),
        ("select 1".to_owned(), json!({ "unknown": vec![0; 1_500_000] }), 200),
        (format!("select 1 {}", "-".repeat(60_000)), json!({ "parameterSets": vec![json!([]); 700] }), 200),
    ] {
        let shown: String = sql.chars().take(60).collect();
        assert_eq!(execute(&sql, members).await, status, "{shown}");
        let held = peak(&child) - before;
        println!("{held} KiB after {shown}");
        assert!(held < 24 * 1024, "{held} KiB after {shown}");
    }
    child.kill().await.unwrap();
}

fn tempfile(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("local-data-api-{}-{name}", std::process::id()))
}
