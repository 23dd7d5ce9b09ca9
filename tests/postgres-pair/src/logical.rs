//! A logical replica: a server of its own, which subscribes to the primary's tables. Paused and resumed by connection
//! strings: also for a process other than the one that owns the pair.

use tokio_postgres::Client;

use crate::Pair;
use crate::replay::connect;
use postgres_server::wait_until;

/// The slots that subscriptions stream from. Those of a table's first copy are named by the server.
const SLOTS: &str =
    "SELECT * FROM pg_replication_slots WHERE slot_type = 'logical' AND slot_name !~ '_sync_'";

/// When this returns nothing is applied any more.
pub async fn pause(writer_dsn: &str, reader_dsn: &str) -> anyhow::Result<()> {
    for_each_subscription(reader_dsn, "DISABLE").await?;
    let writer = connect(writer_dsn).await?;
    wait_until("the replica applies nothing any more", async || {
        let query = format!("SELECT NOT coalesce(bool_or(active), false) FROM ({SLOTS}) AS slots");
        Ok(writer.query_one(&query, &[]).await?.get(0))
    })
    .await
}

/// Lets it apply again.
pub async fn resume(reader_dsn: &str) -> anyhow::Result<()> {
    for_each_subscription(reader_dsn, "ENABLE").await
}

async fn for_each_subscription(reader_dsn: &str, change: &str) -> anyhow::Result<()> {
    let reader = connect(reader_dsn).await?;
    for row in reader.query("SELECT quote_ident(subname) FROM pg_subscription", &[]).await? {
        reader.batch_execute(&format!("ALTER SUBSCRIPTION {} {change}", row.get::<_, &str>(0))).await?;
    }
    Ok(())
}

pub(crate) async fn wait_until_replayed(pair: &Pair, writer: &Client, position: &str) -> anyhow::Result<()> {
    let reader = pair.reader().connect().await?;
    wait_until("the replica has copied the tables", async || {
        // Before there is a subscription there is nothing to wait for.
        let query = "SELECT coalesce(bool_and(srsubstate = 'r'), true) FROM pg_subscription_rel";
        Ok(reader.query_one(query, &[]).await?.get(0))
    })
    .await?;
    wait_until("the replica has applied the primary's position", async || {
        let query = format!(
            "SELECT coalesce(bool_and(confirmed_flush_lsn >= $1::text::pg_lsn), true) FROM ({SLOTS}) AS slots"
        );
        Ok(writer.query_one(&query, &[&position]).await?.get(0))
    })
    .await
}
