//! The database as a deployment would find it: roles, schema, settings.

use anyhow::Context;
use postgres_pair::Pair;
use shared::store::schema::SCRIPTS;

use crate::names::{DATABASE, OWNER_ROLE, READER_ROLE, WRITER_ROLE};

/// Creates the roles, applies the schema, and sets the kill switch and the capacity.
pub(crate) async fn prepare(pair: &Pair, enabled: bool, capacity: i32) -> anyhow::Result<()> {
    let client = pair.writer().connect().await?;
    client
        .batch_execute(&format!(
            "CREATE ROLE {WRITER_ROLE} LOGIN; CREATE ROLE {READER_ROLE} LOGIN;
             CREATE ROLE {OWNER_ROLE} LOGIN CREATEROLE; ALTER DATABASE {DATABASE} OWNER TO {OWNER_ROLE};"
        ))
        .await?;
    for (name, script) in SCRIPTS {
        client
            .batch_execute(&format!("BEGIN;\n{script}\nCOMMIT;"))
            .await
            .with_context(|| format!("schema script {name}"))?;
    }
    client
        .execute("UPDATE migration_settings SET enabled = $1, capacity = $2", &[&enabled, &capacity])
        .await?;
    Ok(())
}
