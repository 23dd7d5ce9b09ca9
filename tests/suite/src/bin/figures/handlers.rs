//! The functions beside what a user would write instead, in Python and in Node: the processor's time from exec to the
//! first answer, and what a notification takes in a process that runs. All of them speak TLS to the same Data API.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use local::{Function, Stack, StackOptions, built_functions, output::say};
use serde_json::{Value, json};
use shared::{
    endpoint::Notification,
    migration::{AttemptId, NotificationStatus},
    store::Store,
};
use suite::{given, options, primary, sql, writer};
use uuid::Uuid;

use crate::{
    percentiles,
    plans::{EMPTY, ROWS},
    process::{Process, Program},
    record::{Goal, record},
    secure::Tls,
};

/// How often each is started.
const STARTS: usize = 11;
/// How many notifications each is given, and how many of them go before, untimed.
const TIMED: usize = 300;
const WARM_UP: usize = 30;
/// So many rows are made at once for each.
const AT_ONCE: usize = 110;

/// So many are counted by callgrind, after the first.
const COUNTED: usize = 20;
/// So far they may be from what is known.
const DRIFT: f64 = 0.1;

const HANDLER: &str = "registry-notification";

/// What the script has installed: none where it could not.
fn peers() -> Vec<(&'static str, Vec<String>)> {
    let said = |variable| std::env::var(variable).ok().filter(|text| !text.is_empty());
    let split = |line: String| line.split(' ').map(str::to_owned).collect();
    [("Python, boto3", "FIGURES_PYTHON"), ("Node, SDK v3, bundled", "FIGURES_NODE")]
        .into_iter()
        .filter_map(|(name, variable)| said(variable).map(|line| (name, split(line))))
        .collect()
}

/// Measures and prints both.
pub async fn handlers() -> anyhow::Result<()> {
    let bench = Bench::start().await?;
    cold(&bench).await?;
    warm(&bench).await?;
    bench.stack.stop().await
}

/// Counts the instructions of registry-notification by callgrind and compares them with those in `file`: from exec to the
/// first answer, and of each notification in a process that runs. Where there is no such file it is written.
pub async fn instructions(file: &Path) -> anyhow::Result<()> {
    let bench = Bench::start().await?;
    let (once, often) = (counted(&bench, 1).await?, counted(&bench, 1 + COUNTED).await?);
    bench.stack.stop().await?;
    let found =
        [("exec to the first answer", once), ("a notification", (often - once) / u64::try_from(COUNTED)?)];
    let known: Value = match std::fs::read_to_string(file) {
        Ok(text) => serde_json::from_str(&text)?,
        Err(_) => {
            let all: serde_json::Map<_, _> =
                found.iter().map(|(name, count)| ((*name).to_owned(), json!(count))).collect();
            std::fs::write(file, format!("{:#}\n", Value::Object(all.clone())))?;
            Value::Object(all)
        }
    };
    say(format_args!("\nInstructions of {HANDLER}, by callgrind {:>28} {:>14}", "now", "known"))?;
    let mut away = Vec::new();
    for (name, count) in found {
        let expected = known[name].as_f64().context("no such figure is known")?;
        let ratio = count as f64 / expected;
        say(format_args!("  {name:54} {count:14} {expected:14} {ratio:6.2}"))?;
        record("instructions", name, "instructions", count as f64, Goal::AtMost(expected * (1.0 + DRIFT)));
        if (ratio - 1.0).abs() > DRIFT {
            away.push(name);
        }
    }
    ensure!(away.is_empty(), "more than a tenth away from {}: {away:?}", file.display());
    Ok(())
}

/// How many instructions a process takes from exec until it has answered so many notifications.
async fn counted(bench: &Bench, notifications: usize) -> anyhow::Result<u64> {
    let mut program = bench.function(Function::RegistryNotification);
    let out = bench.stack.folder().join("callgrind.out");
    let callgrind =
        ["/usr/bin/valgrind", "--tool=callgrind", &format!("--callgrind-out-file={}", out.display())];
    program.command = callgrind.into_iter().map(str::to_owned).chain(program.command).collect();
    let mut process = Process::start(&program, &bench.log()).await?;
    for number in 0..notifications {
        let path = format!("counted{notifications}/image{number}");
        given(&bench.stack, &path, "pre_importing", None).await?;
        let (answer, _) = process.ask(&bench.notification(&path)).await?;
        ensure!(answer["statusCode"] == 200, "{answer}");
    }
    process.terminate()?;
    let said = std::fs::read_to_string(bench.log())?;
    let count = said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    count.with_context(|| format!("callgrind says nothing: {}", tail(&bench.log())))
}

struct Bench {
    stack: Stack,
    data_api: String,
    secrets: String,
    notification_secret: String,
    operator_token: String,
    programs: PathBuf,
    authority: PathBuf,
}

impl Bench {
    async fn start() -> anyhow::Result<Self> {
        let stack = Stack::start(StackOptions { functions: vec![], ..options() }).await?;
        let tls = Tls::new(stack.folder())?;
        let described = stack.describe().await;
        // What is measured is applied, and nothing follows it that would be at work while the next is timed.
        sql(&stack, "UPDATE migration_settings SET enabled = false").await?;
        Ok(Self {
            data_api: tls.before(&described.data_api_url).await?,
            secrets: tls.before(&described.secrets_url).await?,
            notification_secret: described.notification_secret,
            operator_token: described.operator_token,
            programs: built_functions()?,
            authority: tls.authority.clone(),
            stack,
        })
    }

    fn function(&self, function: Function) -> Program {
        Program {
            name: function.name().to_owned(),
            command: vec![self.programs.join(function.name()).display().to_string()],
            environment: self.environment(function),
        }
    }

    /// As the stack has it, but over TLS, and with what other languages call the authority's variable.
    fn environment(&self, function: Function) -> BTreeMap<String, String> {
        let mut environment = self.stack.environment(function);
        let authority = self.authority.display().to_string();
        for (name, value) in [
            ("AWS_ENDPOINT_URL_RDS_DATA", &self.data_api),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &self.secrets),
            ("SSL_CERT_FILE", &authority),
            ("AWS_CA_BUNDLE", &authority),
            ("NODE_EXTRA_CA_CERTS", &authority),
            ("AWS_DEFAULT_REGION", &"eu-central-1".to_owned()),
            ("AWS_LAMBDA_FUNCTION_NAME", &function.name().to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", &"1".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &"128".to_owned()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", &"figures".to_owned()),
            ("AWS_LAMBDA_LOG_STREAM_NAME", &"figures".to_owned()),
        ] {
            environment.insert(name.to_owned(), value.clone());
        }
        environment.into_iter().collect()
    }

    fn peer(&self, name: &str, command: &[String]) -> Program {
        let environment = self.environment(Function::RegistryNotification);
        Program { name: name.to_owned(), command: command.to_vec(), environment }
    }

    fn log(&self) -> PathBuf {
        self.stack.folder().join("figures.log")
    }

    /// A request that makes the function ask the database.
    fn event(&self, function: Function) -> Value {
        let bearer = format!("Bearer {}", self.operator_token);
        match function {
            Function::RegistryNotification => self.notification("group/unknown"),
            Function::StartMigration => http("POST", "/migrations/start/group/unknown", &bearer, None),
            Function::MigrationStatus => http("GET", "/migrations/status/group/unknown", &bearer, None),
            Function::ManageMigrations => http("GET", "/settings", &bearer, None),
            Function::EnqueueMigrations
            | Function::GuardMigrations
            | Function::ObserveMigrations
            | Function::ApplySchema => json!({
                "version": "0", "id": Uuid::new_v4(), "detail-type": "Scheduled Event", "source": "aws.events",
                "account": "123456789012", "time": jiff::Timestamp::now(), "region": "eu-central-1",
                "resources": [], "detail": {},
            }),
        }
    }

    fn notification(&self, path: &str) -> Value {
        let address = format!("/api/v4/internal/registry/repositories/{path}/migration/status");
        let body = json!({
            "name": "image", "path": path, "status": "pre_import_complete",
            "detail": "pre import completed successfully",
        });
        http("PUT", &address, &self.notification_secret, Some(&body))
    }
}

/// An event of an HTTP API.
fn http(method: &str, path: &str, authorization: &str, body: Option<&Value>) -> Value {
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
        "headers": {
            "authorization": authorization, "content-type": "application/json", "host": "figures.example.com",
        },
        "requestContext": {
            "accountId": "123456789012", "apiId": "figures", "domainName": "figures.example.com",
            "domainPrefix": "figures", "requestId": Uuid::new_v4(), "routeKey": "$default", "stage": "$default",
            "time": "26/Nov/2026:10:00:00 +0000", "timeEpoch": 1_795_687_200_000_u64,
            "http": {
                "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "figures",
            },
        },
        "body": body.map(Value::to_string), "isBase64Encoded": false,
    })
}

/// What a process takes from exec to its first answer, by turns.
async fn cold(bench: &Bench) -> anyhow::Result<()> {
    say(format_args!(
        "\nFrom exec to the first answer, over HTTPS; n = {STARTS} each, by turns {:>7} {:>8} {:>8}",
        "CPU p50", "least", "most"
    ))?;
    let mut programs: Vec<(Program, Value)> =
        Function::ALL.iter().map(|function| (bench.function(*function), bench.event(*function))).collect();
    programs.retain(|(program, _)| {
        let is_there = Path::new(&program.command[0]).exists();
        if !is_there {
            let _ = say(format_args!("  {:54} is not built", program.name));
        }
        is_there
    });
    for (name, command) in peers() {
        programs.push((bench.peer(name, &command), bench.notification("group/unknown")));
    }
    let mut took = vec![Vec::new(); programs.len()];
    for _ in 0..STARTS {
        for ((program, event), took) in programs.iter().zip(&mut took) {
            let mut process = Process::start(program, &bench.log()).await?;
            let answered = process.ask(event).await;
            let said = || format!("{}: {}", program.name, tail(&bench.log()));
            answered.with_context(said)?;
            took.push(process.end()?);
        }
    }
    let mut ours = None;
    for ((program, _), took) in programs.iter().zip(&took) {
        let name = program.name.as_str();
        let [median, _] = percentiles(took.clone());
        let milliseconds = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1000.0);
        let goal = if Function::ALL.iter().any(|function| function.name() == name) {
            Goal::AtMost(6.0)
        } else {
            Goal::None
        };
        let (least, most) = (milliseconds(took.iter().min()), milliseconds(took.iter().max()));
        say(format_args!("  {name:54} {median:9.1} {least:8.1} {most:8.1} ms{}", goal.said(median)))?;
        record("exec to the first answer", name, "ms of CPU", median, goal);
        match ours {
            _ if name == HANDLER => ours = Some(median),
            Some(ours) if goal.said(0.0).is_empty() => {
                let (times, goal) = (median / ours, Goal::AtLeast(25.0));
                say(format_args!("  {:54} {times:9.1} times ours{}", "", goal.said(times)))?;
                record("exec to the first answer", &format!("{name}, times ours"), "ratio", times, goal);
            }
            _ => {}
        }
    }
    Ok(())
}

/// What a notification takes where the process runs already, by turns with the bare statement.
async fn warm(bench: &Bench) -> anyhow::Result<()> {
    let mut programs = vec![("ours", bench.function(Function::RegistryNotification))];
    let peers = peers();
    for (name, command) in &peers {
        programs.push((*name, bench.peer(name, command)));
    }
    let mut running = Vec::new();
    for (name, program) in &programs {
        running.push((*name, Process::start(program, &bench.log()).await?, Vec::new(), Duration::ZERO));
    }
    let store: Store<Notification> = Store::new(writer(&bench.stack));
    let status = NotificationStatus::PreImportComplete;
    let mut bare = Vec::new();
    let database = primary(&bench.stack).await?;
    for number in 0..WARM_UP + TIMED {
        if number == WARM_UP {
            for (_, process, _, before) in &mut running {
                *before = process.cpu()?;
            }
        }
        if number % AT_ONCE == 0 {
            // There are not slots enough for all of them.
            database.batch_execute(EMPTY).await?;
            for prefix in (0..running.len()).map(|which| format!("peer{which}/")).chain(["bare/".to_owned()])
            {
                database.execute(ROWS, &[&prefix, &i32::try_from(AT_ONCE)?]).await?;
            }
        }
        let row = number % AT_ONCE;
        for (which, (name, process, took, _)) in running.iter_mut().enumerate() {
            let path = format!("peer{which}/{row}");
            let (answer, time) = process.ask(&bench.notification(&path)).await?;
            ensure!(answer["statusCode"] == 200, "{name}: {answer}");
            took.push(time);
        }
        let (path, change) = (format!("bare/{row}").parse()?, AttemptId::new(Uuid::new_v4()));
        let deadline = tokio::time::Instant::now() + Duration::from_secs(8);
        let began = Instant::now();
        let changed = store.apply_notification(&path, status, None, None, change, deadline).await?;
        bare.push(began.elapsed());
        ensure!(changed.is_some(), "{path} is not there");
    }
    say(format_args!(
        "\nA warm notification, over HTTPS; n = {TIMED} each, by turns {:>11} {:>8} {:>8}",
        "p50", "p99", "own CPU"
    ))?;
    let mut slowest_allowed = f64::INFINITY;
    let mut lines = Vec::new();
    for (name, process, mut took, before) in running {
        let cpu = (process.cpu()? - before).as_secs_f64() * 1000.0 / TIMED as f64;
        let [median, late] = percentiles(took.split_off(WARM_UP));
        if name != "ours" {
            slowest_allowed = slowest_allowed.min(median);
        }
        lines.push((name, median, late, cpu));
        process.end()?;
    }
    for (name, median, late, cpu) in lines {
        let goals = match name {
            "ours" if slowest_allowed.is_finite() => [Goal::AtMost(slowest_allowed), Goal::AtMost(0.5)],
            "ours" => [Goal::None, Goal::AtMost(0.5)],
            _ => [Goal::None; 2],
        };
        say(format_args!(
            "  {name:54} {median:5.2} {late:8.2} {cpu:8.2} ms{}{}",
            goals[0].said(median),
            goals[1].said(cpu)
        ))?;
        record("warm notification", name, "ms, p50", median, goals[0]);
        record("warm notification", name, "ms of CPU", cpu, goals[1]);
    }
    let [median, late] = percentiles(bare.split_off(WARM_UP));
    say(format_args!("  {:54} {median:5.2} {late:8.2}", "our statement alone, by the SDK, without TLS"))?;
    record("warm notification", "the statement alone", "ms, p50", median, Goal::None);
    Ok(())
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}
