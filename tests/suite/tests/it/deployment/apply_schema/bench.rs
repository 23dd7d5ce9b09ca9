//! Database servers without anything of the driver's, and the Data API in front of them.

use std::time::{Duration, Instant};

use apply_schema::config::{Config, ReaderNeeds, Shown};
use aws_config::{Region, SdkConfig};
use aws_sdk_rdsdata::config::{Credentials, SharedCredentialsProvider};
use local::{
    DATABASE, NOTIFICATION_SECRET_ARN, OPERATOR_TOKEN_SECRET_ARN, OWNER_ROLE, OWNER_SECRET_ARN, READER_ARN,
    READER_SECRET_ARN, SIGNING_KEY_SECRET_ARN, STACK_ID, WRITER_ARN, WRITER_SECRET_ARN,
    local_data_api::{self, Cluster, DataApi, Limits, Secret},
    postgres_pair::{Pair, PairOptions, Replica},
};
use postgres_protocol::password::scram_sha_256;
use secrecy::SecretString;
use shared::{
    endpoint::{Schema, Transactions},
    store::{
        Store,
        schema::{Applied, Owner, Patience, Roles, SchemaError, Script},
    },
};
use tokio_postgres::{Client, NoTls};

/// The secret of a role that may do nothing.
const NOBODY_SECRET_ARN: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:nobody";

pub struct Bench {
    pub pair: Pair,
    pub api: DataApi,
}

impl Bench {
    pub async fn start() -> Self {
        Self::with_limits(Limits::default()).await
    }

    pub async fn with_limits(limits: Limits) -> Self {
        Self::of(limits, Replica::Streaming).await
    }

    /// With a second cluster that may become a replica. The owner is a superuser on both: it may what a cluster's
    /// master user is given by roles of Aurora's own.
    pub async fn of_two_clusters() -> Self {
        let bench = Self::of(Limits::default(), Replica::Logical).await;
        bench.sql(&format!("ALTER ROLE {OWNER_ROLE} SUPERUSER")).await;
        let owner = format!(
            "CREATE ROLE {OWNER_ROLE} LOGIN SUPERUSER; ALTER DATABASE {DATABASE} OWNER TO {OWNER_ROLE}"
        );
        bench.pair.reader().connect().await.unwrap().batch_execute(&owner).await.unwrap();
        bench
    }

    async fn of(limits: Limits, replica: Replica) -> Self {
        let pair = Pair::start(PairOptions { replica, ..PairOptions::default() }).await.unwrap();
        let secret = |arn: &str, role: &str| Secret {
            arn: arn.to_owned(),
            username: role.to_owned(),
            password: "local".to_owned(),
        };
        let api = DataApi::start(local_data_api::Config {
            clusters: vec![
                Cluster::new(WRITER_ARN, &pair.writer().host, pair.writer().port),
                Cluster::new(READER_ARN, &pair.reader().host, pair.reader().port),
            ],
            secrets: vec![secret(OWNER_SECRET_ARN, OWNER_ROLE), secret(NOBODY_SECRET_ARN, "nobody")],
            default_database: Some(DATABASE.to_owned()),
            limits,
            ..local_data_api::Config::default()
        })
        .await
        .unwrap();
        let bench = Self { pair, api };
        bench
            .sql(&format!(
                "CREATE ROLE nobody LOGIN; CREATE ROLE {OWNER_ROLE} LOGIN CREATEROLE;
                 ALTER DATABASE {DATABASE} OWNER TO {OWNER_ROLE}"
            ))
            .await;
        bench
    }

    /// The superuser, in the database that is there from the start.
    pub async fn sql(&self, text: &str) {
        self.pair.writer().connect().await.unwrap().batch_execute(text).await.unwrap();
    }

    /// A further database.
    pub async fn database(&self, name: &str) {
        self.sql(&format!("CREATE DATABASE {name} OWNER {OWNER_ROLE}")).await;
    }

    /// A role in a database, with a password where one is asked for.
    pub async fn login(
        &self,
        role: &str,
        password: &str,
        database: &str,
    ) -> Result<Client, tokio_postgres::Error> {
        let mut login = tokio_postgres::Config::new();
        let writer = self.pair.writer();
        login.host(&writer.host).port(writer.port).user(role).password(password).dbname(database);
        let (client, connection) = login.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// From now on the driver's roles are asked for their passwords.
    pub async fn ask_for_passwords(&self) {
        let rules = self.pair.folder().join("writer/pg_hba.conf");
        let before = std::fs::read_to_string(&rules).unwrap();
        let rule =
            "host all migration_driver,migration_reader,migration_replication 127.0.0.1/32 scram-sha-256";
        std::fs::write(&rules, format!("{rule}\n{before}")).unwrap();
        self.sql("SELECT pg_reload_conf()").await;
        suite::until("passwords are asked for", async || {
            Ok(self.login("migration_driver", "certainly wrong", DATABASE).await.is_err())
        })
        .await
        .unwrap();
    }

    /// What applies the schema to a database as its owner, configured as the function configures it.
    pub fn store(&self, database: &str) -> Store<Schema> {
        self.store_of(WRITER_ARN, database, OWNER_SECRET_ARN)
    }

    /// The same on the second cluster.
    pub fn second(&self, database: &str) -> Store<Schema> {
        self.store_of(READER_ARN, database, OWNER_SECRET_ARN)
    }

    /// The same as a role that may do nothing.
    pub fn store_of_nobody(&self) -> Store<Schema> {
        self.store_of(WRITER_ARN, DATABASE, NOBODY_SECRET_ARN)
    }

    fn store_of(&self, cluster: &str, database: &str, owner: &str) -> Store<Schema> {
        store(&self.api, cluster, database, owner)
    }

    /// Applies scripts to a database, with time to spare.
    pub async fn apply(&self, database: &str, scripts: &[Script]) -> Result<Applied, SchemaError> {
        apply(&self.store(database), scripts).await
    }

    /// One value, asked by the superuser.
    pub async fn ask(&self, database: &str, query: &str) -> String {
        let client = self.login("postgres", "", database).await.unwrap();
        client.query_one(query, &[]).await.unwrap().get(0)
    }

    pub async fn stop(self) {
        self.api.stop().await;
        self.pair.stop().await.unwrap();
    }
}

/// What applies the schema to a database through a Data API, configured as the function configures it.
pub fn store(api: &DataApi, cluster: &str, database: &str, owner: &str) -> Store<Schema> {
    let credentials = Credentials::new("local", "local", None, None, "the local Data API takes any");
    let sdk = SdkConfig::builder()
        .region(Region::new("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let config = Config {
        arn: cluster.parse().unwrap(),
        endpoint_url: Some(api.url().parse().unwrap()),
        database: database.to_owned(),
        owner_secret_arn: owner.parse().unwrap(),
        writer_secret_arn: WRITER_SECRET_ARN.parse().unwrap(),
        reader_secret_arn: READER_SECRET_ARN.parse().unwrap(),
        stack_id: STACK_ID.to_owned(),
        shown: Shown {
            notification: NOTIFICATION_SECRET_ARN.parse().unwrap(),
            operator_token: OPERATOR_TOKEN_SECRET_ARN.parse().unwrap(),
            signing_key: SIGNING_KEY_SECRET_ARN.parse().unwrap(),
        },
        reader: ReaderNeeds::Nothing,
    };
    Store::new(Transactions::new(&sdk, config.endpoint()))
}

pub async fn apply(store: &Store<Schema>, scripts: &[Script]) -> Result<Applied, SchemaError> {
    store.apply(scripts, 0, &roles("driver-1", "reader-1"), in_time(Duration::from_secs(60))).await
}

pub fn roles(driver: &str, reader: &str) -> Roles {
    Roles {
        driver: Some(verifier(driver)),
        reader: verifier(reader),
        replication: None,
        iam_user: None,
        owner: owner(),
    }
}

pub fn owner() -> Owner {
    Owner { stack: STACK_ID.to_owned(), take_over_from: None }
}

pub fn verifier(password: &str) -> SecretString {
    scram_sha_256(password.as_bytes()).into()
}

pub fn in_time(time: Duration) -> Patience {
    Patience::until(tokio::time::Instant::from_std(Instant::now() + time))
}

/// What was applied to a database, as `number name`.
pub async fn history(bench: &Bench, database: &str) -> Vec<String> {
    let query =
        "SELECT coalesce(string_agg(number || ' ' || name, ',' ORDER BY number), '') FROM schema_versions";
    let there = bench.ask(database, "SELECT coalesce(to_regclass('schema_versions')::text, '')").await;
    if there.is_empty() {
        return Vec::new();
    }
    let rows = bench.ask(database, query).await;
    rows.split(',').filter(|row| !row.is_empty()).map(str::to_owned).collect()
}
