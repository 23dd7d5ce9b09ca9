//! A logical replica: a server of its own that subscribes to the primary's tables.

use tokio_postgres::Client;

use crate::server::wait_until;
use crate::{DATABASE, Pair};

/// Both the publication's and the subscription's name, and the slot's.
const NAME: &str = "pair";

pub(crate) async fn subscribe(pair: &Pair, tables: &[&str]) -> anyhow::Result<()> {
    let (writer, reader) = (pair.writer().connect().await?, pair.reader().connect().await?);
    writer.batch_execute(&format!("CREATE PUBLICATION {NAME} FOR TABLE {}", tables.join(", "))).await?;
    let (host, port) = (&pair.writer().host, pair.writer().port);
    let primary = format!("host={host} port={port} user=postgres dbname={DATABASE} sslmode=disable");
    reader
        .batch_execute(&format!("CREATE SUBSCRIPTION {NAME} CONNECTION '{primary}' PUBLICATION {NAME}"))
        .await?;
    wait_until("the replica has copied the tables", async || {
        let query = "SELECT count(*) > 0 AND bool_and(srsubstate = 'r') FROM pg_subscription_rel";
        Ok(reader.query_one(query, &[]).await?.get::<_, Option<bool>>(0).unwrap_or(false))
    })
    .await
}

/// When this returns nothing is applied any more.
pub(crate) async fn pause(pair: &Pair) -> anyhow::Result<()> {
    pair.reader().connect().await?.batch_execute(&format!("ALTER SUBSCRIPTION {NAME} DISABLE")).await?;
    let writer = pair.writer().connect().await?;
    wait_until("the replica applies nothing any more", async || {
        let query = "SELECT NOT active FROM pg_replication_slots WHERE slot_name = $1";
        Ok(writer.query_one(query, &[&NAME]).await?.get(0))
    })
    .await
}

pub(crate) async fn resume(pair: &Pair) -> anyhow::Result<()> {
    pair.reader().connect().await?.batch_execute(&format!("ALTER SUBSCRIPTION {NAME} ENABLE")).await?;
    Ok(())
}

pub(crate) async fn wait_until_replayed(writer: &Client, position: &str) -> anyhow::Result<()> {
    wait_until("the replica has applied the primary's position", async || {
        // Before there is a subscription there is nothing to wait for.
        let query = "SELECT coalesce(bool_and(confirmed_flush_lsn >= $1::text::pg_lsn), true)
            FROM pg_replication_slots WHERE slot_name = $2";
        Ok(writer.query_one(query, &[&position, &NAME]).await?.get(0))
    })
    .await
}
