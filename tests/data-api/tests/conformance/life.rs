//! What happens over time: servers that go and come back, clients that hang up, the end.

use std::time::Duration;

use aws_sdk_rdsdata::types::{Field, SqlParameter};
use local_data_api::{Cluster, Config, DataApi, ErrorCode, Fault, Limits};
use postgres_pair::{Pair, PairOptions};
use serde_json::json;

use crate::rust_sdk::client;
use crate::stage::{DATABASE, cluster_arn, config, connect, secret_arn, shared_pair};

const PATIENCE: Duration = Duration::from_secs(60);

/// A server in front of the shared pair, and a database that only this test uses.
struct Stand {
    server: DataApi,
    database: &'static str,
}

impl Stand {
    async fn set(database: &'static str) -> Self {
        let pair = shared_pair().await;
        let owner = connect(&pair.writer().dsn()).await;
        owner.batch_execute(&format!("CREATE DATABASE {database}")).await.unwrap();
        Self { server: DataApi::start(config(pair, Limits::default())).await.unwrap(), database }
    }

    async fn execute(&self, sql: &str) -> Result<i64, Option<String>> {
        execute(&self.server.url(), self.database, sql).await
    }

    /// Waits until exactly this many other connections of this database fit the condition.
    async fn until_connections(&self, count: i64, condition: &str) {
        let watch = connect(&shared_pair().await.writer().dsn()).await;
        let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND {condition}");
        eventually(condition, async || {
            watch.query_one(&sql, &[&self.database]).await.unwrap().get::<_, i64>(0) == count
        })
        .await;
    }
}

/// The first value of the result if it is a number, or the name of the error if there is one.
async fn execute(url: &str, database: &str, sql: &str) -> Result<i64, Option<String>> {
    use aws_sdk_rdsdata::error::ProvideErrorMetadata as _;
    let answer = client(url, "once")
        .execute_statement()
        .resource_arn(cluster_arn("writer"))
        .secret_arn(secret_arn("owner"))
        .database(database)
        .sql(sql)
        .send()
        .await;
    match answer {
        Ok(output) => {
            Ok(output.records().first().and_then(|row| row[0].as_long_value().ok().copied()).unwrap_or(-1))
        }
        Err(error) => Err(error.code().map(str::to_owned)),
    }
}

/// Bounded; the condition is asked of PostgreSQL or the server, never assumed from the time.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "never: {what}");
}

#[tokio::test]
async fn a_restart_of_the_server_costs_no_later_call() {
    let pair = Pair::start(PairOptions::default()).await.unwrap();
    let server = DataApi::start(config(&pair, Limits::default())).await.unwrap();
    let url = server.url();
    assert_eq!(execute(&url, DATABASE, "select 1").await, Ok(1));
    pair.restart_writer().await.unwrap();
    assert_eq!(execute(&url, DATABASE, "select 2").await, Ok(2));
    pair.stop_writer().await.unwrap();
    let unavailable = Err(Some("DatabaseUnavailableException".to_owned()));
    assert_eq!(execute(&url, DATABASE, "select 3").await, unavailable);
    server.stop().await;
    pair.stop().await.unwrap();
}

#[tokio::test]
async fn a_statement_that_is_terminated_says_why() {
    let stand = Stand::set("terminated").await;
    let terminate = async {
        stand.until_connections(1, "state = 'active' AND query LIKE '%pg_sleep(60)%'").await;
        let owner = connect(&shared_pair().await.writer().dsn()).await;
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'terminated'";
        owner.execute(sql, &[]).await.unwrap();
    };
    let (told, ()) = tokio::join!(stand.execute("select pg_sleep(60)::text"), terminate);
    assert_eq!(told, Err(Some("DatabaseErrorException".to_owned())));
    stand.server.stop().await;
}

#[tokio::test]
async fn a_statement_goes_on_when_its_caller_hangs_up() {
    let stand = Stand::set("hung_up").await;
    stand.execute("create table done (a int)").await.unwrap();
    // It cannot end before its caller has gone.
    let pair = shared_pair().await;
    let holder = connect(&pair.writer().dsn().replace(DATABASE, stand.database)).await;
    holder.batch_execute("BEGIN; LOCK TABLE done").await.unwrap();
    tokio::select! {
        told = stand.execute("insert into done values (1)") => panic!("{told:?}"),
        () = stand.until_connections(1, "wait_event_type = 'Lock' AND query LIKE 'insert%'") => {}
    }
    holder.batch_execute("COMMIT").await.unwrap();
    eventually("the row is there", async || stand.execute("select count(*) from done").await == Ok(1)).await;
    stand.server.stop().await;
}

#[tokio::test]
async fn stopping_leaves_no_connection_and_no_transaction() {
    let stand = Stand::set("stopped").await;
    let url = stand.server.url();
    let begun = client(&url, "once")
        .begin_transaction()
        .resource_arn(cluster_arn("writer"))
        .secret_arn(secret_arn("owner"))
        .database(stand.database)
        .send()
        .await;
    assert!(begun.is_ok());
    assert_eq!(stand.server.open_transactions(), 1);
    assert_eq!(stand.execute("select 1").await, Ok(1));
    stand.until_connections(2, "application_name = 'local-data-api'").await;
    stand.server.stop().await;
    assert_eq!(execute(&url, "stopped", "select 1").await, Err(None));
    let stand = Stand { server: DataApi::start(Config::default()).await.unwrap(), database: "stopped" };
    stand.until_connections(0, "application_name = 'local-data-api'").await;
}

#[tokio::test]
async fn forty_calls_at_once_are_all_answered() {
    let stand = Stand::set("forty").await;
    stand.execute("create table counter (n int)").await.unwrap();
    stand.execute("insert into counter values (0)").await.unwrap();
    let calls = (0..40).map(|_| stand.execute("update counter set n = n + 1"));
    for told in futures::future::join_all(calls).await {
        assert_eq!(told, Ok(-1));
    }
    assert_eq!(stand.execute("select n from counter").await, Ok(40));
    stand.server.stop().await;
}

#[tokio::test]
async fn the_journal_tells_what_ran_and_how_it_ended() {
    let stand = Stand::set("journal").await;
    stand.execute("select 1").await.unwrap();
    stand.execute("select 1/0").await.unwrap_err();
    stand.server.inject(Fault::resuming(1).sql_contains("three"));
    stand.execute("select 'three'").await.unwrap_err();
    let journal = stand.server.journal();
    let told: Vec<_> = journal
        .iter()
        .map(|call| {
            let outcome = call.outcome.as_ref().unwrap();
            (call.sql.as_deref().unwrap(), outcome.status, outcome.error, outcome.ran, outcome.fault)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("select 1", Some(200), None, true, false),
            ("select 1/0", Some(400), Some(ErrorCode::DatabaseErrorException), false, false),
            ("select 'three'", Some(400), Some(ErrorCode::DatabaseResumingException), false, true),
        ]
    );
    stand.server.stop().await;
}

#[tokio::test]
async fn statements_are_kept_from_call_to_call() {
    let stand = Stand::set("statements").await;
    for number in 0..12 {
        assert_eq!(stand.execute("select 41 + 1").await, Ok(42), "{number}");
    }
    let kept =
        "select count(*) from pg_prepared_statements where statement = 'select 41 + 1' and not from_sql";
    assert_eq!(stand.execute(kept).await, Ok(1));
    stand.server.stop().await;
}

#[tokio::test]
async fn few_connections_are_kept_however_many_databases_there_are() {
    let stand = Stand::set("kept_1").await;
    let owner = connect(&shared_pair().await.writer().dsn()).await;
    let databases = ["kept_1", "kept_2", "kept_3"];
    for database in &databases[1..] {
        owner.batch_execute(&format!("CREATE DATABASE {database}")).await.unwrap();
    }
    let url = stand.server.url();
    let calls = databases
        .iter()
        .flat_map(|database| (0..20).map(|_| execute(&url, database, "select 1 from pg_sleep(0.3)")));
    for answer in futures::future::join_all(calls).await {
        assert_eq!(answer, Ok(1));
    }
    eventually("no more than 56 are kept", async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname LIKE 'kept__'";
        owner.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) <= 56
    })
    .await;
    stand.server.stop().await;
}

#[tokio::test]
async fn closes_a_connection_that_has_bound_much() {
    let stand = Stand::set("bound_much").await;
    let process = async |length: usize| {
        let value = Field::StringValue("x".repeat(length));
        let answer = client(&stand.server.url(), "once")
            .execute_statement()
            .resource_arn(cluster_arn("writer"))
            .secret_arn(secret_arn("owner"))
            .database(stand.database)
            .sql("select pg_backend_pid() where length(:value) > 0")
            .parameters(SqlParameter::builder().name("value").value(value).build())
            .send()
            .await
            .unwrap();
        answer.records()[0][0].as_long_value().copied().unwrap()
    };
    let kept = process(1000).await;
    stand.until_connections(1, "state = 'idle'").await;
    assert_eq!(process(300_000).await, kept);
    stand.until_connections(0, "true").await;
    assert_ne!(process(1000).await, kept);
    stand.server.stop().await;
}

#[tokio::test]
async fn servers_are_spoken_to_by_tls_where_it_is_asked_for() {
    let pair = shared_pair().await;
    let tls_ca = Some(pair.certificates());
    let mut config = Config { tls_ca, ..config(pair, Limits::default()) };
    config.clusters[0].host = "localhost".to_owned();
    let server = DataApi::start(config.clone()).await.unwrap();
    let sql = "select 3 from pg_stat_ssl where pid = pg_backend_pid() and ssl";
    assert_eq!(execute(&server.url(), DATABASE, sql).await, Ok(3));
    server.stop().await;
    // The certificate is for another name.
    config.clusters[0].host = "127.0.0.1".to_owned();
    let server = DataApi::start(config).await.unwrap();
    let unavailable = Err(Some("DatabaseUnavailableException".to_owned()));
    assert_eq!(execute(&server.url(), DATABASE, "select 1").await, unavailable);
    server.stop().await;
}

#[tokio::test]
async fn health_looks_at_the_databases() {
    let pair = shared_pair().await;
    let mut config =
        Config { default_database: Some(DATABASE.to_owned()), ..config(pair, Limits::default()) };
    config.clusters.retain(|cluster| cluster.arn != cluster_arn("down"));
    let server = DataApi::start(config.clone()).await.unwrap();
    let (status, body) = crate::wire::get(&server.url(), "/health").await;
    assert_eq!((status, &body["ok"], &body["open_transactions"]), (200, &json!(true), &json!(0)), "{body}");
    assert_eq!(body["databases"][cluster_arn("reader")], json!({ "ok": true }));
    server.stop().await;
    config.clusters.push(Cluster::new(cluster_arn("down"), "127.0.0.1", 1));
    let server = DataApi::start(config).await.unwrap();
    let (status, body) = crate::wire::get(&server.url(), "/-/health").await;
    assert_eq!((status, &body["ok"]), (503, &json!(false)), "{body}");
    assert_eq!(body["databases"][cluster_arn("down")]["ok"], json!(false));
    assert_eq!(body["databases"][cluster_arn("writer")]["ok"], json!(true));
    server.stop().await;
}
