//! The cases, driven by aws-sdk-rdsdata.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use aws_sdk_rdsdata::Client;
use aws_sdk_rdsdata::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_rdsdata::config::retry::RetryConfig;
use aws_sdk_rdsdata::config::timeout::TimeoutConfig;
use aws_sdk_rdsdata::config::{
    BehaviorVersion, Builder, ConfigBag, Credentials, Intercept, Region, RuntimeComponents,
};
use aws_sdk_rdsdata::error::{BoxError, ProvideErrorMetadata, SdkError};
use serde_json::{Map, Value, json};

use crate::cases::{Case, all};
use crate::sdk_values::{Members, executed};
use crate::stage::{DATABASE, Stage, cluster_arn, names, secret_arn};

const PATIENCE: Duration = Duration::from_secs(60);

/// Members of a step that are not sent.
const CONTROL: [&str; 5] = ["do", "gives", "lacks", "fails", "keep"];

#[tokio::test]
async fn every_case_holds_for_the_rust_sdk() {
    let stage = Stage::set().await;
    let mut wrong = Vec::new();
    for case in all() {
        let mut run = Run::new(&stage, &case);
        if let Err(error) = run.case(&case).await {
            wrong.push(format!("{}: {error:#}", case.name));
        }
    }
    stage.strike().await;
    // A result of a thousand rows tells no more than its beginning.
    let wrong: Vec<String> = wrong.iter().map(|told| told.chars().take(600).collect()).collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// How often a client has sent something, or tried to.
#[derive(Clone, Debug, Default)]
struct Attempts(Arc<AtomicUsize>);

impl Attempts {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "attempts"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// A client as the functions build theirs, with the retries and timeouts of its kind.
pub fn client(url: &str, kind: &str) -> Client {
    Client::from_conf(config(url, kind).build())
}

fn config(url: &str, kind: &str) -> Builder {
    let retries = match kind {
        "default" => RetryConfig::standard(),
        _ => RetryConfig::disabled(),
    };
    let mut timeouts = TimeoutConfig::builder();
    if kind == "hasty" {
        timeouts = timeouts.operation_timeout(Duration::from_secs(1));
    }
    aws_sdk_rdsdata::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("eu-central-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "the conformance cases"))
        .endpoint_url(url)
        .retry_config(retries)
        .timeout_config(timeouts.build())
}

/// How a call failed.
struct Failed {
    error: String,
    status: u16,
    message: String,
}

struct Run<'a> {
    stage: &'a Stage,
    server: String,
    client: Client,
    attempts: Attempts,
    watcher: Client,
    names: BTreeMap<&'static str, String>,
    kept: BTreeMap<String, String>,
}

impl<'a> Run<'a> {
    fn new(stage: &'a Stage, case: &Case) -> Self {
        let urls = stage.urls();
        let attempts = Attempts::default();
        let counted = config(&urls[case.server.as_str()], &case.client).interceptor(attempts.clone());
        Self {
            stage,
            server: case.server.clone(),
            client: Client::from_conf(counted.build()),
            attempts,
            watcher: client(&urls["aws"], "once"),
            names: names(),
            kept: BTreeMap::new(),
        }
    }

    async fn case(&mut self, case: &Case) -> anyhow::Result<()> {
        if let Some(server) = self.stage.server(&self.server) {
            server.clear_faults();
            server.clear_journal();
            for fault in &case.faults {
                server.inject(serde_json::from_value(self.resolve(fault))?);
            }
        }
        for step in &case.steps {
            self.step(step).await?;
        }
        let calls = self.stage.server(&self.server).map_or(0, |server| server.journal().len());
        ensure!(case.calls.is_none_or(|wanted| wanted == calls), "{calls} calls arrived");
        let sent = self.attempts.count();
        ensure!(case.sent.is_none_or(|wanted| wanted == sent), "{sent} requests were sent");
        Ok(())
    }

    async fn step(&mut self, step: &Map<String, Value>) -> anyhow::Result<()> {
        if let Some(background) = step.get("while") {
            let background = background.as_object().context("a step")?;
            let task =
                tokio::spawn(send(self.client.clone(), operation(background)?, self.members(background)));
            self.until(step).await?;
            for inner in step["steps"].as_array().context("steps")? {
                self.call(inner.as_object().context("a step")?).await?;
            }
            let told = tokio::time::timeout(PATIENCE, task).await??;
            self.judge(background, told).context("the call in the background")
        } else if step.contains_key("until") {
            self.until(step).await
        } else if step.contains_key("listen") {
            self.stage.listen();
            Ok(())
        } else {
            self.call(step).await
        }
    }

    async fn until(&self, step: &Map<String, Value>) -> anyhow::Result<()> {
        let sql = step["until"].as_str().context("a condition")?;
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let answer = self
                .watcher
                .execute_statement()
                .resource_arn(cluster_arn("writer"))
                .secret_arn(secret_arn("owner"))
                .database(DATABASE)
                .sql(sql)
                .send()
                .await?;
            if executed(&answer)["records"][0][0]["booleanValue"] == json!(true) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("never true: {sql}")
    }

    async fn call(&mut self, step: &Map<String, Value>) -> anyhow::Result<()> {
        let told = send(self.client.clone(), operation(step)?, self.members(step)).await;
        self.judge(step, told)
    }

    fn judge(&mut self, step: &Map<String, Value>, told: Result<Value, Failed>) -> anyhow::Result<()> {
        let answer = match (told, step.get("fails")) {
            (Ok(answer), None) => answer,
            (Ok(answer), Some(_)) => bail!("did not fail: {answer}"),
            (Err(failed), None) => bail!("{} {}: {}", failed.status, failed.error, failed.message),
            (Err(failed), Some(wanted)) => return failed.check(wanted),
        };
        for (name, expected) in step.get("gives").and_then(Value::as_object).into_iter().flatten() {
            let given = answer.get(name).unwrap_or(&Value::Null);
            ensure!(given == expected, "{name}: {given} instead of {expected}");
        }
        for name in step.get("lacks").and_then(Value::as_array).into_iter().flatten() {
            let name = name.as_str().context("a name")?;
            ensure!(answer.get(name).is_none(), "{name}: {} instead of nothing", answer[name]);
        }
        for (name, member) in step.get("keep").and_then(Value::as_object).into_iter().flatten() {
            let value = answer[member.as_str().context("a name")?].as_str().context("a text")?;
            self.kept.insert(name.clone(), value.to_owned());
        }
        Ok(())
    }

    fn members(&self, step: &Map<String, Value>) -> Members {
        let mut members = Map::new();
        members.insert("resourceArn".to_owned(), json!(cluster_arn("writer")));
        members.insert("secretArn".to_owned(), json!(secret_arn("owner")));
        members.insert("database".to_owned(), json!(DATABASE));
        for (name, value) in step.iter().filter(|(name, _)| !CONTROL.contains(&name.as_str())) {
            match value {
                Value::Null => members.remove(name),
                value => members.insert(name.clone(), self.resolve(value)),
            };
        }
        Members(members)
    }

    /// `@name` is a name of the stage, `$name` was kept by an earlier step, `repeat` makes a long text.
    fn resolve(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => match text.split_at_checked(1) {
                Some(("@", name)) => json!(self.names[name]),
                Some(("$", name)) => json!(self.kept[name]),
                _ => value.clone(),
            },
            Value::Array(values) => values.iter().map(|value| self.resolve(value)).collect(),
            Value::Object(members) => match (&value["repeat"], &value["times"]) {
                (Value::String(part), Value::Number(times)) => {
                    let prefix = value["prefix"].as_str().unwrap_or_default();
                    let times = usize::try_from(times.as_u64().unwrap()).unwrap();
                    json!(format!("{prefix}{}", part.repeat(times)))
                }
                _ => members.iter().map(|(name, value)| (name.clone(), self.resolve(value))).collect(),
            },
            other => other.clone(),
        }
    }
}

impl Failed {
    fn check(&self, wanted: &Value) -> anyhow::Result<()> {
        let told = format!("{} {}: {}", self.status, self.error, self.message);
        if wanted["error"] == "NoAnswer" {
            ensure!(self.error == "NoAnswer", "{told} instead of no answer");
            return Ok(());
        }
        let same = wanted["error"] == json!(self.error) && wanted["status"] == json!(self.status);
        ensure!(same, "{told} instead of {wanted}");
        for part in wanted.get("says").and_then(Value::as_array).into_iter().flatten() {
            let part = part.as_str().context("a text")?;
            ensure!(self.message.contains(part), "{told} does not say {part:?}");
        }
        Ok(())
    }
}

fn operation(step: &Map<String, Value>) -> anyhow::Result<String> {
    Ok(step.get("do").and_then(Value::as_str).context("a step without do")?.to_owned())
}

async fn send(client: Client, operation: String, with: Members) -> Result<Value, Failed> {
    match operation.as_str() {
        "ExecuteStatement" => {
            let call = client
                .execute_statement()
                .set_resource_arn(with.text("resourceArn"))
                .set_secret_arn(with.text("secretArn"))
                .set_database(with.text("database"))
                .set_schema(with.text("schema"))
                .set_sql(with.text("sql"))
                .set_parameters(with.parameters())
                .set_transaction_id(with.text("transactionId"))
                .set_include_result_metadata(with.flag("includeResultMetadata"))
                .set_continue_after_timeout(with.flag("continueAfterTimeout"))
                .set_result_set_options(with.result_set_options())
                .set_format_records_as(with.text("formatRecordsAs").map(|text| text.as_str().into()));
            call.send().await.map(|output| executed(&output)).map_err(failed)
        }
        "BatchExecuteStatement" => {
            let call = client
                .batch_execute_statement()
                .set_resource_arn(with.text("resourceArn"))
                .set_secret_arn(with.text("secretArn"))
                .set_database(with.text("database"))
                .set_schema(with.text("schema"))
                .set_sql(with.text("sql"))
                .set_parameter_sets(with.parameter_sets())
                .set_transaction_id(with.text("transactionId"));
            let output = call.send().await.map_err(failed)?;
            let updates = output.update_results().iter().map(|update| {
                assert!(update.generated_fields().is_empty());
                json!({ "generatedFields": [] })
            });
            Ok(json!({ "updateResults": updates.collect::<Value>() }))
        }
        "BeginTransaction" => {
            let call = client
                .begin_transaction()
                .set_resource_arn(with.text("resourceArn"))
                .set_secret_arn(with.text("secretArn"))
                .set_database(with.text("database"))
                .set_schema(with.text("schema"));
            let output = call.send().await.map_err(failed)?;
            Ok(json!({ "transactionId": output.transaction_id }))
        }
        "CommitTransaction" => {
            let call = client
                .commit_transaction()
                .set_resource_arn(with.text("resourceArn"))
                .set_secret_arn(with.text("secretArn"))
                .set_transaction_id(with.text("transactionId"));
            let output = call.send().await.map_err(failed)?;
            Ok(json!({ "transactionStatus": output.transaction_status }))
        }
        "RollbackTransaction" => {
            let call = client
                .rollback_transaction()
                .set_resource_arn(with.text("resourceArn"))
                .set_secret_arn(with.text("secretArn"))
                .set_transaction_id(with.text("transactionId"));
            let output = call.send().await.map_err(failed)?;
            Ok(json!({ "transactionStatus": output.transaction_status }))
        }
        other => panic!("no operation: {other}"),
    }
}

/// Name and status as a caller of the SDK gets them. An answer that is no error of the service has no name.
fn failed<E: ProvideErrorMetadata + std::fmt::Debug>(
    error: SdkError<E, aws_sdk_rdsdata::config::http::HttpResponse>,
) -> Failed {
    let Some(response) = error.raw_response() else {
        return Failed { error: "NoAnswer".to_owned(), status: 0, message: format!("{error:?}") };
    };
    let status = response.status().as_u16();
    // A 200 whose body broke off is no answer either.
    let unnamed = if status == 200 { "NoAnswer" } else { "Unreadable" };
    Failed {
        error: error.code().unwrap_or(unnamed).to_owned(),
        status,
        message: error.message().unwrap_or_default().to_owned(),
    }
}
