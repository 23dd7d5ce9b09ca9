//! What happens over time: servers that go and come back, clients that hang up, the end.

use std::time::Duration;

use local_data_api::{DataApi, ErrorCode, Limits};
use postgres_pair::{Pair, PairOptions};

use crate::rust_sdk::client;
use crate::stage::{DATABASE, cluster_arn, config, connect, secret_arn};

const PATIENCE: Duration = Duration::from_secs(10);

async fn set() -> (Pair, DataApi) {
    let pair = Pair::start(PairOptions::default()).await.unwrap();
    let server = DataApi::start(config(&pair, Limits::default())).await.unwrap();
    (pair, server)
}

async fn execute(server: &DataApi, sql: &str) -> Result<i64, Option<String>> {
    execute_at(&server.url(), sql).await
}

/// The first value of the result if it is a number, or the name of the error if there is one.
async fn execute_at(url: &str, sql: &str) -> Result<i64, Option<String>> {
    use aws_sdk_rdsdata::error::ProvideErrorMetadata as _;
    let answer = client(url, "once")
        .execute_statement()
        .resource_arn(cluster_arn("writer"))
        .secret_arn(secret_arn("owner"))
        .database(DATABASE)
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
    let (pair, server) = set().await;
    assert_eq!(execute(&server, "select 1").await, Ok(1));
    pair.stop_writer().await.unwrap();
    assert_eq!(execute(&server, "select 1").await, Err(Some("DatabaseUnavailableException".to_owned())));
    pair.start_writer().await.unwrap();
    assert_eq!(execute(&server, "select 2").await, Ok(2));
    server.stop().await;
    pair.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_stops_in_a_statement_says_why() {
    let (pair, server) = set().await;
    let watch = connect(&pair.writer().dsn()).await;
    let running = "select count(*) from pg_stat_activity where query = 'select pg_sleep(60)::text' and state = 'active'";
    let kill =
        "select pg_terminate_backend(pid) from pg_stat_activity where query = 'select pg_sleep(60)::text'";
    let call = execute(&server, "select pg_sleep(60)::text");
    let end = async {
        eventually("the statement runs", async || {
            watch.query_one(running, &[]).await.unwrap().get::<_, i64>(0) == 1
        })
        .await;
        watch.execute(kill, &[]).await.unwrap();
    };
    let (told, ()) = tokio::join!(call, end);
    assert_eq!(told, Err(Some("DatabaseErrorException".to_owned())));
    server.stop().await;
    pair.stop().await.unwrap();
}

#[tokio::test]
async fn a_statement_goes_on_when_its_caller_hangs_up() {
    let (pair, server) = set().await;
    execute(&server, "create table done (a int)").await.unwrap();
    let call = execute(&server, "insert into done select 1 from pg_sleep(1)");
    let hung_up = tokio::time::timeout(Duration::from_millis(300), call).await;
    assert!(hung_up.is_err());
    eventually("the row is there", async || execute(&server, "select count(*) from done").await == Ok(1))
        .await;
    server.stop().await;
    pair.stop().await.unwrap();
}

#[tokio::test]
async fn stopping_leaves_no_connection_and_no_transaction() {
    let (pair, server) = set().await;
    let watch = connect(&pair.writer().dsn()).await;
    let begun = client(&server.url(), "once")
        .begin_transaction()
        .resource_arn(cluster_arn("writer"))
        .secret_arn(secret_arn("owner"))
        .database(DATABASE)
        .send()
        .await;
    assert!(begun.is_ok());
    assert_eq!(server.open_transactions(), 1);
    let url = server.url();
    let (told, ()) = tokio::join!(execute_at(&url, "select pg_sleep(60)::text"), async {
        let running = "select count(*) from pg_stat_activity where query like '%pg_sleep(60)%' and state = 'active' and pid <> pg_backend_pid()";
        eventually("the statement runs", async || {
            watch.query_one(running, &[]).await.unwrap().get::<_, i64>(0) == 1
        })
        .await;
        server.stop().await;
    });
    assert_eq!(told, Err(None));
    let open = "select count(*) from pg_stat_activity where application_name = 'local-data-api' \
                and query not like '%pg_sleep%'";
    eventually("no connection", async || watch.query_one(open, &[]).await.unwrap().get::<_, i64>(0) == 0)
        .await;
    pair.stop().await.unwrap();
}

#[tokio::test]
async fn forty_calls_at_once_are_all_answered() {
    let (pair, server) = set().await;
    execute(&server, "create table counter (n int)").await.unwrap();
    execute(&server, "insert into counter values (0)").await.unwrap();
    let calls = (0..40).map(|_| execute(&server, "update counter set n = n + 1"));
    for told in futures::future::join_all(calls).await {
        assert_eq!(told, Ok(-1));
    }
    assert_eq!(execute(&server, "select n from counter").await, Ok(40));
    server.stop().await;
    pair.stop().await.unwrap();
}

#[tokio::test]
async fn the_journal_tells_what_ran_and_how_it_ended() {
    let (pair, server) = set().await;
    execute(&server, "select 1").await.unwrap();
    execute(&server, "select 1/0").await.unwrap_err();
    server.inject(local_data_api::Fault::resuming(1).sql_contains("three"));
    execute(&server, "select 'three'").await.unwrap_err();
    let journal = server.journal();
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
    server.stop().await;
    pair.stop().await.unwrap();
}
