//! What the integration tests share: rows put into a state, rows and histories looked at, and waiting.

pub mod copying;
pub mod explained;
pub mod positions;

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use aws_config::{Region, SdkConfig};
use aws_sdk_rdsdata::config::{Credentials, SharedCredentialsProvider};
use direct_endpoint::{Login, Server};
use local::{
    DATABASE, Function, READER_ARN, READER_SECRET_ARN, RegistryChoice, Stack, StackOptions, WRITER_ARN,
    WRITER_SECRET_ARN,
    local_registry::{
        StepTime,
        storage::{ImageOptions, Storage},
    },
};
use serde_json::Value;
use shared::{
    config::secrets::SecretReader,
    connections::behavior_version,
    endpoint::{
        DataApi, EndpointConfig, Endpoints, Observe, ReadOnlyWriter, Reader, ReaderConnections, ReplicaReads,
        Writer,
    },
    migration::Window,
    store::{HEALTH_PROBE, Store},
};
use tokio_postgres::Client;
use uuid::Uuid;

/// How long anything is waited for. Far more than it takes: a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Every state a row can be in.
pub const STATES: [&str; 7] = [
    "default",
    "pre_importing",
    "pre_import_done",
    "importing",
    "import_done",
    "import_aborted",
    "import_skipped",
];

/// The history of a migration in which every transition happened once.
pub const WHOLE: [&str; 4] = [
    "start_pre_import default>pre_importing",
    "finish_pre_import pre_importing>pre_import_done",
    "start_import pre_import_done>importing",
    "finish_import importing>import_done",
];

/// The same where the registry never heard of the first attempt, and the guard began another.
pub const BEGUN_AGAIN: [&str; 5] = [
    "start_pre_import default>pre_importing",
    "start_pre_import pre_importing>pre_importing",
    "finish_pre_import pre_importing>pre_import_done",
    "start_import pre_import_done>importing",
    "finish_import importing>import_done",
];

/// A stack with room for many repositories and few processes.
#[must_use]
pub fn options() -> StackOptions {
    StackOptions {
        instances: 2,
        capacity: 100,
        // No limit of the registry's but those that a test sets.
        registry: RegistryChoice::Local {
            old_storage: None,
            new_storage: None,
            max_concurrent_imports: 100,
            step_time: StepTime::default(),
        },
        // A busy machine may keep a notification waiting for a process. What is lost, a test loses on purpose.
        notification_timeout: PATIENCE,
        ..StackOptions::default()
    }
}

/// A stack with [`options`].
///
/// # Errors
/// When a part of it does not start.
pub async fn stack() -> anyhow::Result<Stack> {
    Stack::start(options()).await
}

/// Puts a small image of its own into `storage`.
///
/// # Errors
/// When the storage cannot be written.
pub fn push_image(storage: &Storage, path: &str) -> anyhow::Result<()> {
    let seed = path.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    storage.write_image(path, &["latest"], &ImageOptions::small(seed))?;
    Ok(())
}

/// Registers repositories that the old storage really has.
///
/// # Errors
/// When the storage or the database cannot be written.
pub async fn repositories(stack: &Stack, paths: &[&str]) -> anyhow::Result<()> {
    let storage = stack.old_storage()?;
    for path in paths {
        push_image(&storage, path)?;
    }
    stack.register(&paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>()).await
}

/// The primary, with every right: what a test sets up and looks at goes past the driver.
///
/// # Errors
/// When the primary does not answer.
pub async fn primary(stack: &Stack) -> anyhow::Result<Client> {
    stack.pair().writer().connect().await
}

/// The row as it stands on the primary; null when there is none.
///
/// # Errors
/// When the primary does not answer.
pub async fn row(stack: &Stack, path: &str) -> anyhow::Result<Value> {
    let query = "SELECT to_jsonb(c) FROM container_repositories AS c WHERE path = $1";
    let row = primary(stack).await?.query_opt(query, &[&path]).await?;
    Ok(row.map_or(Value::Null, |row| row.get(0)))
}

/// How many versions a row may have before those of the row that is registered after it.
pub const VERSIONS_OF_A_ROW: i64 = 1 << 20;

/// How often a row has changed since it was registered, by its version. -1 where it tells none.
#[must_use]
pub fn changes(row: &Value) -> i64 {
    row["version"].as_i64().map_or(-1, |version| version % VERSIONS_OF_A_ROW)
}

/// The row's state on the primary.
///
/// # Errors
/// When the primary does not answer, or has no such row.
pub async fn state(stack: &Stack, path: &str) -> anyhow::Result<String> {
    let row = row(stack, path).await?;
    row["migration_state"].as_str().map(str::to_owned).with_context(|| format!("no repository {path}"))
}

/// The row's history, oldest first, each line as `event from>to`, with `(verdict)` where it was ignored.
///
/// # Errors
/// When the primary does not answer.
pub async fn history(stack: &Stack, path: &str) -> anyhow::Result<Vec<String>> {
    let query = "SELECT t.event || ' ' || t.from_state || '>' || t.to_state
            || CASE WHEN t.applied THEN '' ELSE ' (' || t.verdict || ')' END
        FROM migration_transitions AS t
        JOIN container_repositories AS c ON c.id = t.repository_id
        WHERE c.path = $1 ORDER BY t.id";
    Ok(primary(stack).await?.query(query, &[&path]).await?.iter().map(|row| row.get(0)).collect())
}

/// Registers a repository in `state` as if it had come there, with `attempt` as its attempt and its slot taken where
/// the state holds one. Aborted rows were aborted while importing. Nobody sees it in another state: a claim under way
/// would take it.
///
/// # Errors
/// When the database refuses.
pub async fn given(stack: &Stack, path: &str, state: &str, attempt: Option<Uuid>) -> anyhow::Result<()> {
    let mut client = primary(stack).await?;
    let transaction = client.transaction().await?;
    // Two at once would find the same slot free.
    transaction.batch_execute("LOCK TABLE migration_slots IN EXCLUSIVE MODE").await?;
    let sql = "WITH free AS (
            SELECT min(slot) AS slot FROM migration_slots WHERE repository_id IS NULL
        ), added AS (
            INSERT INTO container_repositories (
                path, migration_state, version, attempt, slot, pre_import_started_at, pre_import_done_at,
                import_started_at, import_done_at, aborted_at, aborted_in_state, skipped_at, skipped_reason,
                next_check_at
            )
            SELECT
                $1, $2, 2, $3::text::uuid,
                CASE WHEN $2 IN ('pre_importing', 'pre_import_done', 'importing') THEN free.slot END,
                now(),
                CASE WHEN $2 IN ('pre_import_done', 'importing') THEN now() END,
                CASE WHEN $2 IN ('importing', 'import_done') THEN now() END,
                CASE WHEN $2 = 'import_done' THEN now() END,
                CASE WHEN $2 = 'import_aborted' THEN now() END,
                CASE WHEN $2 = 'import_aborted' THEN 'importing' END,
                CASE WHEN $2 = 'import_skipped' THEN now() END,
                CASE WHEN $2 = 'import_skipped' THEN 2 END,
                CASE WHEN $2 IN ('pre_importing', 'importing') THEN now() + interval '15 seconds' END
            FROM free
            RETURNING *
        ), taken AS (
            UPDATE migration_slots AS s SET repository_id = added.id FROM added WHERE s.slot = added.slot
        )
        INSERT INTO migration_transitions
            (repository_id, version, event, from_state, to_state, cause, attempt, slot)
        SELECT id, version, 'given', 'default', migration_state, 'test', attempt, slot FROM added";
    transaction.execute(sql, &[&path, &state, &attempt.map(|id| id.to_string())]).await?;
    Ok(transaction.commit().await?)
}

/// Runs SQL on the primary.
///
/// # Errors
/// When the primary refuses it.
pub async fn sql(stack: &Stack, text: &str) -> anyhow::Result<()> {
    primary(stack).await?.batch_execute(text).await?;
    Ok(())
}

/// A window for final steps that is open, or closed, now and for more than an hour.
///
/// # Errors
/// None that is known: each hour has a time of day.
pub fn window(is_open: bool) -> anyhow::Result<Window> {
    let at = |hours: i64| {
        // Tokyo is nine hours ahead of UTC, all the year.
        let minutes = (jiff::Timestamp::now().as_second() / 60 + (9 + hours) * 60).rem_euclid(24 * 60);
        format!("{:02}:{:02}", minutes / 60, minutes % 60).parse().map_err(anyhow::Error::msg)
    };
    let (from, until) = if is_open { (-2, 2) } else { (2, -2) };
    Ok(Window { from: at(from)?, until: at(until)?, zone: "Asia/Tokyo".to_owned() })
}

/// Ends whatever holds starts back, as the time would: a registry without room, a stop of the registry's, the circuit
/// breaker.
///
/// # Errors
/// When the primary refuses.
pub async fn release_the_brake(stack: &Stack) -> anyhow::Result<()> {
    sql(stack, "DELETE FROM migration_brake").await
}

/// Waits until `holds` says so.
///
/// # Errors
/// When it does not within [`PATIENCE`], or fails itself.
pub async fn until<F, T>(what: &str, holds: F) -> anyhow::Result<()>
where
    F: Fn() -> T,
    T: Future<Output = anyhow::Result<bool>>,
{
    let begun = Instant::now();
    while !holds().await? {
        if begun.elapsed() > PATIENCE {
            bail!("waited in vain until {what}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// Waits until the row is in `wanted` on the primary.
///
/// # Errors
/// When it does not get there.
pub async fn until_state(stack: &Stack, path: &str, wanted: &str) -> anyhow::Result<()> {
    // One connection for all of the wait: making them is what would keep a machine busy.
    let client = primary(stack).await?;
    let query = "SELECT migration_state = $2 FROM container_repositories WHERE path = $1";
    let reached = || async {
        let row = client.query_opt(query, &[&path, &wanted]).await?;
        Ok(row.with_context(|| format!("no repository {path}"))?.get(0))
    };
    let Err(error) = until(&format!("{path} is {wanted}"), reached).await else { return Ok(()) };
    bail!("{error}; it is {}, after {:?}", state(stack, path).await?, history(stack, path).await?)
}

/// Waits until the work that follows the answers of a function has dealt with so many freed slots in all. It may give
/// them to whatever a test registers next.
///
/// # Errors
/// When it does not.
pub async fn until_freed_slots_are_dealt_with(
    stack: &Stack,
    function: Function,
    times: usize,
) -> anyhow::Result<()> {
    let log = || stack.functions().log(function);
    let dealt_with = || async { Ok(log().matches("\"event\":\"slot_freed\"").count() >= times) };
    until("freed slots are dealt with", dealt_with).await
}

/// Writes a heartbeat as `observe-migrations` does, and lets it be as old as the longest bound there may be. A reader
/// that has not replayed it when this returns is past its bound.
///
/// # Errors
/// When the writer refuses.
pub async fn heartbeat_of_an_hour_ago(stack: &Stack) -> anyhow::Result<()> {
    let store: Store<Observe> = Store::new(endpoints(stack));
    let deadline = tokio::time::Instant::now() + PATIENCE;
    store.write_heartbeat(deadline).await?.context("there is no heartbeat")?;
    sql(stack, "UPDATE replica_mark_times SET marked_at = marked_at - interval '1 hour'").await
}

/// How many calls the Data API has had so far.
#[must_use]
pub fn data_api_calls(stack: &Stack) -> usize {
    stack.data_api().journal().len()
}

/// The stack's writer, as the functions reach it.
#[must_use]
pub fn writer(stack: &Stack) -> Writer {
    Writer::new(endpoint(stack, WRITER_ARN, WRITER_SECRET_ARN))
}

/// The stack's reader, as the functions reach it.
#[must_use]
pub fn reader(stack: &Stack) -> Reader {
    Reader::new(endpoint(stack, READER_ARN, READER_SECRET_ARN))
}

/// The stack's endpoints, as the function that compares them reaches them.
#[must_use]
pub fn endpoints(stack: &Stack) -> Endpoints {
    Endpoints { writer: writer(stack), reader: ReaderConnections::shared(reader(stack)) }
}

/// What reads on the stack's reader, and on its writer where the reader cannot serve or may not.
#[must_use]
pub fn reads(stack: &Stack) -> Arc<ReplicaReads> {
    let reader = ReaderConnections::shared(reader(stack));
    Arc::new(ReplicaReads::new(reader, read_only_writer(stack), HEALTH_PROBE))
}

/// The stack's writer with the role that can only SELECT, as a function that reads reaches it.
#[must_use]
pub fn read_only_writer(stack: &Stack) -> ReadOnlyWriter {
    ReadOnlyWriter::new(endpoint(stack, WRITER_ARN, READER_SECRET_ARN))
}

fn endpoint(stack: &Stack, arn: &str, secret_arn: &str) -> DataApi {
    data_api(stack, arn, secret_arn, DATABASE)
}

/// A database of the stack, through the Data API.
#[must_use]
pub fn data_api(stack: &Stack, arn: &str, secret_arn: &str, database: &str) -> DataApi {
    let config = EndpointConfig {
        arn: arn.to_owned(),
        secret_arn: secret_arn.to_owned(),
        database: database.to_owned(),
        endpoint_url: Some(stack.data_api().url()),
    };
    DataApi::new(&sdk(None), config)
}

/// What reads the stack's secrets.
#[must_use]
pub fn secrets(stack: &Stack) -> SecretReader {
    SecretReader::new(&sdk(Some(stack.secrets().url())))
}

/// A server of the stack, to be connected to with one of the stack's secrets.
///
/// # Errors
/// When the secret's ARN is none.
pub fn server(stack: &Stack, port: u16, secret_arn: &str) -> anyhow::Result<Server> {
    Ok(Server {
        host: "localhost".to_owned(),
        port,
        database: DATABASE.to_owned(),
        certificates: stack.pair().certificates(),
        login: Login::Secret { secrets: secrets(stack), arn: secret_arn.parse()? },
    })
}

fn sdk(endpoint_url: Option<String>) -> SdkConfig {
    let credentials = Credentials::new("local", "local", None, None, "the local stack takes any");
    let mut builder = SdkConfig::builder()
        .behavior_version(behavior_version())
        .region(Region::new("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials));
    builder.set_endpoint_url(endpoint_url);
    builder.build()
}
