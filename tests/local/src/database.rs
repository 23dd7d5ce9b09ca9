//! The database as a deployment would find it: roles, schema, settings.

use anyhow::Context;
use postgres_pair::{PASSWORD_GROUP, Pair};
use shared::store::schema::SCRIPTS;
use tokio_postgres::Client;

use crate::names::{DATABASE, OWNER_ROLE, PASSWORD, READER_ROLE, WRITER_ROLE};

/// Creates the roles, applies the schema, and sets the kill switch and the capacity.
pub(crate) async fn prepare(pair: &Pair, enabled: bool, capacity: i32) -> anyhow::Result<()> {
    let client = pair.writer().connect().await?;
    deploy(&client).await?;
    client
        .execute("UPDATE migration_settings SET enabled = $1, capacity = $2", &[&enabled, &capacity])
        .await?;
    Ok(())
}

/// Feeds a logical replica as the README says: the same roles and schema, emptied, and a subscription.
pub(crate) async fn subscribe(pair: &Pair) -> anyhow::Result<()> {
    let reader = pair.reader().connect().await?;
    deploy(&reader).await?;
    let tables: Vec<String> = reader
        .query("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'", &[])
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect();
    let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
    reader.batch_execute(&format!("TRUNCATE {}", tables.join(", "))).await?;
    pair.subscribe(&tables).await
}

async fn deploy(client: &Client) -> anyhow::Result<()> {
    client.batch_execute(&format!("CREATE ROLE {PASSWORD_GROUP}")).await?;
    for role in [WRITER_ROLE, READER_ROLE] {
        let create = format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}' IN ROLE {PASSWORD_GROUP}");
        client.batch_execute(&create).await?;
    }
    let owner =
        format!("CREATE ROLE {OWNER_ROLE} LOGIN CREATEROLE; ALTER DATABASE {DATABASE} OWNER TO {OWNER_ROLE}");
    client.batch_execute(&owner).await?;
    for (name, script) in SCRIPTS {
        client
            .batch_execute(&format!("BEGIN;\n{script}\nCOMMIT;"))
            .await
            .with_context(|| format!("schema script {name}"))?;
    }
    Ok(())
}
