//! The database under the state directory: the tables that a deployed importer has, on a PostgreSQL of one's own.

use std::path::Path;

use anyhow::{Context, ensure};
use direct_endpoint::{Access, Direct, Login, Server};
use importer::Spread;
use postgres_server::{DATABASE, Durable};
use shared::endpoint::Writer;
use shared::store::schema::scripts;
use tokio_postgres::Client;

/// How many statements may run at once. Another connection is for whoever looks in from outside.
const CONNECTIONS: usize = 6;

/// The roles that the schema gives rights to. Nobody logs in as one here.
const ROLES: [&str; 3] = ["migration_driver", "migration_reader", "migration_importer"];

/// Opens it, and brings its schema up to date.
///
/// # Errors
/// In words.
pub async fn open(folder: &Path) -> anyhow::Result<(Durable, Writer)> {
    let server = Durable::open(folder).await?;
    let mut client = server.connect().await?;
    apply_schema(&mut client).await.context("the database's schema cannot be brought up to date")?;
    let address = Server {
        host: server.host().to_owned(),
        port: server.port(),
        database: DATABASE.to_owned(),
        certificates: server.certificates(),
        login: Login::Password { user: "postgres".to_owned(), password: server.password().clone() },
    };
    let first = Direct::new(address, Access::ReadWrite)?;
    let mut connections = vec![first];
    while let (true, Some(first)) = (connections.len() < CONNECTIONS, connections.first()) {
        let another = first.another();
        connections.push(another);
    }
    Ok((server, Writer::new(Spread::new(connections))))
}

/// Applies the scripts that are new, each whole or not at all: what was broken off is begun anew.
async fn apply_schema(client: &mut Client) -> anyhow::Result<()> {
    for role in ROLES {
        if client.query_opt("SELECT FROM pg_roles WHERE rolname = $1", &[&role]).await?.is_none() {
            client.batch_execute(&format!("CREATE ROLE {role}")).await?;
        }
    }
    client
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS applied_scripts (name text PRIMARY KEY, checksum text NOT NULL)",
        )
        .await?;
    let rows = client.query("SELECT name, checksum FROM applied_scripts ORDER BY name", &[]).await?;
    let applied: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let scripts = scripts();
    ensure!(applied.len() <= scripts.len(), "it is a newer version's: use that version");
    for (script, (name, checksum)) in scripts.iter().zip(&applied) {
        ensure!(
            script.name == name && script.checksum() == *checksum,
            "it was made by another version (script {name})"
        );
    }
    for script in &scripts[applied.len()..] {
        // Nobody else uses the table meanwhile.
        let sql = script.sql.replace("CREATE INDEX CONCURRENTLY ", "CREATE INDEX ");
        let transaction = client.transaction().await?;
        transaction.batch_execute(&sql).await.with_context(|| format!("script {}", script.name))?;
        transaction
            .execute("INSERT INTO applied_scripts VALUES ($1, $2)", &[&script.name, &script.checksum()])
            .await?;
        transaction.commit().await?;
    }
    Ok(())
}
