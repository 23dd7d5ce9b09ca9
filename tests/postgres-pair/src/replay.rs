//! A replica's lag, by its connection string: also for a process other than the one that owns the pair.

use std::time::Duration;

use anyhow::Context;
use tokio_postgres::{Client, NoTls, error::SqlState};

use postgres_server::wait_until;

/// Stops replay: when this returns nothing committed from now on is shown until [`resume`] or a restart.
pub async fn pause(reader_dsn: &str) -> anyhow::Result<()> {
    let reader = connect(reader_dsn).await?;
    reader.batch_execute("SELECT pg_wal_replay_pause()").await?;
    wait_until("replay is paused", async || {
        let row = reader.query_one("SELECT pg_get_wal_replay_pause_state()", &[]).await?;
        Ok(row.get::<_, String>(0) == "paused")
    })
    .await
}

/// Lets replay go on.
pub async fn resume(reader_dsn: &str) -> anyhow::Result<()> {
    let reader = connect(reader_dsn).await?;
    wait_until("replay goes on", async || {
        Ok(unless_canceled(reader.batch_execute("SELECT pg_wal_replay_resume()").await)?.is_some())
    })
    .await
}

/// What a query on the reader came to. None: what is replayed has canceled it, as it may any.
pub(crate) fn unless_canceled<T>(
    outcome: Result<T, tokio_postgres::Error>,
) -> Result<Option<T>, tokio_postgres::Error> {
    match outcome {
        Err(error) if error.code() == Some(&SqlState::T_R_SERIALIZATION_FAILURE) => Ok(None),
        outcome => outcome.map(Some),
    }
}

/// Has each commit shown `lag` (to the millisecond) after it was made; zero ends that. Replay that is paused goes on.
pub async fn delay(reader_dsn: &str, lag: Duration) -> anyhow::Result<()> {
    let reader = connect(reader_dsn).await?;
    let milliseconds = lag.as_millis();
    reader.batch_execute(&format!("ALTER SYSTEM SET recovery_min_apply_delay = '{milliseconds}ms'")).await?;
    reader.batch_execute("SELECT pg_reload_conf()").await?;
    reader.batch_execute("SELECT pg_wal_replay_resume()").await?;
    wait_until("the lag is set", async || {
        let query = "SELECT setting FROM pg_settings WHERE name = 'recovery_min_apply_delay'";
        let row = reader.query_one(query, &[]).await?;
        Ok(row.get::<_, String>(0) == milliseconds.to_string())
    })
    .await
}

pub(crate) async fn connect(dsn: &str) -> anyhow::Result<Client> {
    let (client, connection) =
        tokio_postgres::connect(dsn, NoTls).await.context("a server of the pair cannot be reached")?;
    tokio::spawn(connection);
    Ok(client)
}
