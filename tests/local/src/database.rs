//! The database as a deployment would find it: roles, schema, settings.

use std::time::Duration;

use anyhow::Context;
use aws_config::{Region, SdkConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use postgres_pair::{PASSWORD_GROUP, Pair, Template};
use postgres_protocol::password::scram_sha_256;
use secrecy::SecretString;
use shared::{
    endpoint::{EndpointConfig, Schema, Transactions},
    store::{
        Store,
        schema::{Owner, Patience, Publisher, Roles, Script, scripts},
    },
};
use tokio::{sync::OnceCell, time::Instant};
use tokio_postgres::Client;

use crate::names::{
    DATABASE, IMPORTER_ROLE, OWNER_ROLE, OWNER_SECRET_ARN, PASSWORD, READER_ARN, READER_ROLE, REGION,
    REPLICATION_ROLE, STACK_ID, WRITER_ARN, WRITER_ROLE,
};

/// How long the schema may take, and subscribing to it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What every stack's databases begin with: the roles and the schema.
///
/// # Errors
/// When it cannot be made.
pub async fn template() -> anyhow::Result<&'static Template> {
    static DEPLOYED: OnceCell<Template> = OnceCell::const_new();
    DEPLOYED.get_or_try_init(async || Template::make(deploy).await).await
}

async fn deploy(client: &Client) -> anyhow::Result<()> {
    create_roles(client, &[WRITER_ROLE, IMPORTER_ROLE, READER_ROLE]).await?;
    // As its owner would by apply-schema, and sooner than through the Data API.
    for Script { name, sql, .. } in scripts() {
        client.batch_execute(sql).await.with_context(|| format!("schema script {name}"))?;
    }
    Ok(())
}

/// The same on two empty clusters, of which the second replicates the first: what apply-schema does.
pub(crate) async fn deploy_replica(pair: &Pair, data_api_url: &str) -> anyhow::Result<()> {
    for server in [pair.writer(), pair.reader()] {
        let client = server.connect().await?;
        create_roles(&client, &[WRITER_ROLE, READER_ROLE, REPLICATION_ROLE]).await?;
        // What a cluster's master user is given by roles of Aurora's own.
        client.batch_execute(&format!("ALTER ROLE {OWNER_ROLE} SUPERUSER")).await?;
    }
    let password = || Some(SecretString::from(scram_sha_256(PASSWORD.as_bytes())));
    let roles = Roles {
        driver: password(),
        reader: scram_sha_256(PASSWORD.as_bytes()).into(),
        replication: password(),
        iam_user: None,
        owner: Owner { stack: STACK_ID.to_owned(), take_over_from: None },
    };
    let there = Roles { driver: None, replication: None, ..roles.clone() };
    let publisher = Publisher {
        host: pair.writer().host.clone(),
        port: pair.writer().port,
        database: DATABASE.to_owned(),
        password: PASSWORD.to_owned().into(),
    };
    let (first, second) = (owner(WRITER_ARN, data_api_url), owner(READER_ARN, data_api_url));
    let until = Patience::until(Instant::now() + PATIENCE);
    second.apply(&scripts(), 0, &there, until).await?;
    first.apply(&scripts(), 0, &roles, until).await?;
    second.subscribe(&first, &publisher, until).await?;
    Ok(())
}

/// Sets the kill switch, the capacity, and how long a retry waits.
pub(crate) async fn set(
    pair: &Pair,
    enabled: bool,
    capacity: i32,
    retry_backoff_seconds: i32,
) -> anyhow::Result<()> {
    let client = pair.writer().connect().await?;
    client
        .execute(
            "UPDATE migration_settings SET enabled = $1, capacity = $2, retry_backoff_seconds = $3",
            &[&enabled, &capacity, &retry_backoff_seconds],
        )
        .await?;
    Ok(())
}

async fn create_roles(client: &Client, roles: &[&str]) -> anyhow::Result<()> {
    client.batch_execute(&format!("CREATE ROLE {PASSWORD_GROUP}")).await?;
    for role in roles {
        let create = format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}' IN ROLE {PASSWORD_GROUP}");
        client.batch_execute(&create).await?;
    }
    let owner =
        format!("CREATE ROLE {OWNER_ROLE} LOGIN CREATEROLE; ALTER DATABASE {DATABASE} OWNER TO {OWNER_ROLE}");
    client.batch_execute(&owner).await?;
    Ok(())
}

/// A cluster as its owner.
fn owner(cluster: &str, data_api_url: &str) -> Store<Schema> {
    let credentials = Credentials::new("local", "local", None, None, "the local Data API takes any");
    let sdk = SdkConfig::builder()
        .region(Region::new(REGION))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let config = EndpointConfig {
        arn: cluster.to_owned(),
        secret_arn: OWNER_SECRET_ARN.to_owned(),
        database: DATABASE.to_owned(),
        endpoint_url: Some(data_api_url.to_owned()),
    };
    Store::new(Transactions::new(&sdk, config))
}
