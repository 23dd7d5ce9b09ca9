//! What a notification's statement costs the database beside plain ones, on a connection that keeps its statements as
//! the Data API does: the first use, which is parsed and planned, and the hundredth.

use std::{
    collections::HashMap,
    error::Error,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::ensure;
use async_trait::async_trait;
use local::{Stack, output::say};
use shared::{
    endpoint::{Call, ErrorClass, Execution, Failure, Notification, Transport, Value, Writer},
    migration::{AttemptId, NotificationStatus},
    sql_lexer::{Token, tokens},
    store::Store,
};
use tokio_postgres::{
    Client, Statement,
    types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked},
};
use uuid::Uuid;

use crate::percentiles;

/// Uses of each statement on one connection.
const USES: usize = 120;
/// The hundredth is the median of these, so that one slow moment is not the figure.
const LATE: std::ops::Range<usize> = 80..120;

/// What a user would write: the guarded change alone.
const GUARDED: &str = "UPDATE container_repositories
    SET migration_state = 'pre_import_done', pre_import_done_at = now(), state_since = now(),
        version = version + 1, change = :change::uuid
    WHERE path = :path AND migration_state = 'pre_importing'
    RETURNING version::text";

/// The same with its line of history.
const LOGGED: &str = "WITH changed AS (
        UPDATE container_repositories
        SET migration_state = 'pre_import_done', pre_import_done_at = now(), state_since = now(),
            version = version + 1, change = :change::uuid
        WHERE path = :path AND migration_state = 'pre_importing'
        RETURNING *
    ), logged AS (
        INSERT INTO migration_transitions (
            repository_id, version, event, from_state, to_state, cause, attempt, slot
        )
        SELECT id, version, 'finish_pre_import', 'pre_importing', 'pre_import_done', 'notification', attempt, slot
        FROM changed
    )
    SELECT version::text FROM changed";

/// Takes all repositories away.
pub const EMPTY: &str = "UPDATE migration_slots SET repository_id = NULL;
    DELETE FROM migration_transitions; DELETE FROM container_repositories";

/// So many repositories whose pre-import runs, each with a slot: their paths' beginning, and how many.
pub const ROWS: &str = "WITH free AS (
        SELECT slot, row_number() OVER (ORDER BY slot) - 1 AS number
        FROM migration_slots WHERE repository_id IS NULL ORDER BY slot LIMIT $2::int
    ), added AS (
        INSERT INTO container_repositories (
            path, migration_state, version, slot, pre_import_started_at, next_check_at
        )
        SELECT $1 || number, 'pre_importing', 2, slot, now(), now() + interval '15 seconds' FROM free
        RETURNING id, slot
    )
    UPDATE migration_slots SET repository_id = added.id FROM added WHERE migration_slots.slot = added.slot";

/// Prints it for plans that PostgreSQL chooses by itself, for custom and for generic ones.
pub async fn plans(stack: &Stack) -> anyhow::Result<()> {
    say(format_args!(
        "\nA notification's statement beside plain ones, ms on one connection; n = {USES} each, by turns"
    ))?;
    say(format_args!("  {:44} {:>9} {:>9} {:>9}", "", "first use", "hundredth", "ratio"))?;
    for mode in ["auto", "force_custom_plan", "force_generic_plan"] {
        let timed = by_turns(stack, mode).await?;
        let plain = timed[0].1[1];
        for (name, [first, late]) in timed {
            say(format_args!("  {mode:18} {name:25} {first:9.2} {late:9.2} {:9.2}", late / plain))?;
        }
    }
    Ok(())
}

/// The first use and the median of the late ones, for each statement.
async fn by_turns(stack: &Stack, mode: &str) -> anyhow::Result<Vec<(&'static str, [f64; 2])>> {
    let kinds = ["guarded", "logged", "ours"];
    let connection = stack.pair().writer().connect().await?;
    connection.batch_execute(EMPTY).await?;
    for kind in kinds {
        connection.execute(ROWS, &[&format!("{mode}/{kind}/"), &i32::try_from(USES)?]).await?;
    }
    connection.batch_execute(&format!("ANALYZE; SET plan_cache_mode = {mode}")).await?;
    let keeping = Keeping { client: Arc::new(connection), state: Arc::default() };
    let store: Store<Notification> = Store::new(Writer::new(keeping.clone()));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(300);
    for number in 0..USES {
        for kind in kinds {
            let (path, change) = (format!("{mode}/{kind}/{number}"), Uuid::new_v4());
            let sql = match kind {
                "guarded" => GUARDED,
                "logged" => LOGGED,
                _ => {
                    let (path, change) = (path.parse()?, AttemptId::new(change));
                    let status = NotificationStatus::PreImportComplete;
                    let changed =
                        store.apply_notification(&path, status, None, None, change, deadline).await?;
                    ensure!(changed.is_some(), "{path} is not there");
                    continue;
                }
            };
            let parameters = [("path", Value::from(path)), ("change", change.into())];
            let rows = keeping.execute(Call { name: kind, sql, parameters: &parameters }, deadline).await;
            ensure!(rows.map(|rows| rows.len()).ok() == Some(1), "{kind} changes a row");
        }
    }
    let took = std::mem::take(&mut *keeping.state.took.lock().unwrap_or_else(|broken| broken.into_inner()));
    let figures = |name: &str| {
        let times: Vec<Duration> = took.iter().filter(|(of, _)| *of == name).map(|(_, time)| *time).collect();
        ensure!(times.len() == USES, "{name} was timed {} times", times.len());
        Ok([times[0].as_secs_f64() * 1000.0, percentiles(times[LATE].to_vec())[0]])
    };
    Ok(vec![
        ("a guarded UPDATE", figures("guarded")?),
        ("the same and its history", figures("logged")?),
        ("the notification's", figures("apply_notification")?),
    ])
}

/// A transport over one connection that keeps every statement, and how long each took.
#[derive(Clone)]
struct Keeping {
    client: Arc<Client>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    statements: Mutex<HashMap<&'static str, (Statement, Vec<String>)>>,
    took: Mutex<Vec<(&'static str, Duration)>>,
}

#[async_trait]
impl Transport for Keeping {
    async fn execute(&self, call: Call<'_>, _: tokio::time::Instant) -> Result<Vec<String>, Failure> {
        let failed = |error: tokio_postgres::Error| {
            Failure::new(Execution::Unknown, ErrorClass::Defect).with_detail(error.to_string())
        };
        let lock = || self.state.statements.lock().unwrap_or_else(|broken| broken.into_inner());
        let began = Instant::now();
        let kept = lock().get(call.name).cloned();
        let (statement, names) = match kept {
            Some(kept) => kept,
            None => {
                let (sql, names) = numbered(call.sql);
                let types: Vec<Type> = names.iter().map(|name| Bound(value(&call, name)).ty()).collect();
                let prepared = (self.client.prepare_typed(&sql, &types).await.map_err(failed)?, names);
                lock().insert(call.name, prepared.clone());
                prepared
            }
        };
        let values: Vec<Bound<'_>> = names.iter().map(|name| Bound(value(&call, name))).collect();
        let bound: Vec<&(dyn ToSql + Sync)> =
            values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        let rows = self.client.query(&statement, &bound).await.map_err(failed)?;
        let took = began.elapsed();
        self.state.took.lock().unwrap_or_else(|broken| broken.into_inner()).push((call.name, took));
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}

fn value<'a>(call: &Call<'a>, name: &str) -> &'a Value {
    let found = call.parameters.iter().find(|(known, _)| *known == name);
    found.map_or(&Value::Null, |(_, value)| value)
}

/// `:name` to `$1`, each occurrence by itself.
fn numbered(sql: &str) -> (String, Vec<String>) {
    let (mut text, mut names) = (String::new(), Vec::new());
    let mut tokens = tokens(sql).peekable();
    while let Some((token, part)) = tokens.next() {
        let colon = Token::Other(b':');
        if token == colon
            && let Some((_, second)) = tokens.next_if(|(next, _)| *next == colon)
        {
            text.push_str(part);
            text.push_str(second);
        } else if token == colon
            && let Some((_, name)) = tokens.next_if(|(next, _)| *next == Token::Word)
        {
            names.push(name.to_owned());
            text.push_str(&format!("${}", names.len()));
        } else {
            text.push_str(part);
        }
    }
    (text, names)
}

/// A value as the Data API binds it.
#[derive(Debug)]
struct Bound<'a>(&'a Value);

impl Bound<'_> {
    fn ty(&self) -> Type {
        match self.0 {
            Value::Null => Type::UNKNOWN,
            Value::Text(_) => Type::TEXT,
            Value::Long(_) => Type::INT8,
            Value::Bool(_) => Type::BOOL,
        }
    }
}

impl ToSql for Bound<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self.0 {
            Value::Null => Ok(IsNull::Yes),
            Value::Text(text) => text.to_sql(ty, out),
            Value::Long(number) => number.to_sql(ty, out),
            Value::Bool(truth) => truth.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
