//! Each topology, brought up with its functions.

use std::collections::BTreeSet;

use local::{Function, READER_ARN, Stack, StackOptions, Topology, WRITER_ARN, built_functions};
use reqwest::Method;
use serde_json::Value;
use suite::{given, heartbeat_of_an_hour_ago, options, sql, until};

const READING: [Function; 3] =
    [Function::MigrationStatus, Function::GuardMigrations, Function::ObserveMigrations];

async fn stack(topology: Topology) -> Stack {
    let options = StackOptions { topology, functions: READING.to_vec(), instances: 1, ..options() };
    Stack::start(options).await.unwrap()
}

async fn status(stack: &Stack) -> Value {
    let answer = stack.client().as_operator(Method::GET, "/migrations/status/group/image").send().await;
    answer.unwrap().json().await.unwrap()
}

/// The ARNs that the functions' statements have gone to.
fn asked(stack: &Stack) -> BTreeSet<String> {
    stack.data_api().journal().into_iter().filter_map(|call| call.arn).collect()
}

async fn read_and_guard(stack: &Stack) {
    given(stack, "group/image", "importing", None).await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    assert_eq!(status(stack).await["migration_state"], "importing");
    let round = stack.functions().invoke_on_schedule(Function::GuardMigrations).await.unwrap();
    assert_eq!(round["hinted_by"], "reader", "{round}");
    stack.functions().invoke_on_schedule(Function::ObserveMigrations).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_single_the_reader_is_the_writers_cluster() {
    let stack = stack(Topology::Single).await;
    read_and_guard(&stack).await;
    assert_eq!(asked(&stack), BTreeSet::from([WRITER_ARN.to_owned()]));
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn direct_reader_reads_over_tls_from_the_standby() {
    let stack = stack(Topology::DirectReader).await;
    read_and_guard(&stack).await;
    assert!(!asked(&stack).contains(READER_ARN), "the Data API is not asked for the reader");
    let query = "SELECT count(DISTINCT a.pid) FROM pg_stat_activity AS a JOIN pg_stat_ssl AS s USING (pid)
        WHERE a.usename = 'migration_reader' AND s.ssl";
    let reader = stack.pair().reader().connect().await.unwrap();
    until("each process that reads has its two connections over TLS", || async {
        Ok(reader.query_one(query, &[]).await?.get::<_, i64>(0) == 6)
    })
    .await
    .unwrap();
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn replica_clusters_role_refuses_writes() {
    let stack = stack(Topology::ReplicaCluster).await;
    read_and_guard(&stack).await;
    assert!(asked(&stack).contains(READER_ARN));
    stack.pair().pause_replay().await.unwrap();
    sql(&stack, "UPDATE container_repositories SET priority = 1, version = version + 1").await.unwrap();
    assert_eq!(status(&stack).await["priority"], 0);
    stack.pair().resume_replay().await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    assert_eq!(status(&stack).await["priority"], 1);

    // While a table is still being copied the others say nothing about how old its rows are. What a process knows
    // holds for a while: each time one that knows nothing yet.
    heartbeat_of_an_hour_ago(&stack).await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    let reader = stack.pair().reader().connect().await.unwrap();
    // Only the writer has it that this is stuck. However far the reader may be behind, no rows may be missing.
    stack.pair().pause_replay().await.unwrap();
    sql(
        &stack,
        "UPDATE container_repositories SET import_started_at = now() - interval '1 hour', next_check_at = NULL;
         UPDATE migration_settings SET reader_lag_bound_seconds = 0",
    )
    .await
    .unwrap();
    for (state, by, hinted) in [("r", "reader", 0), ("d", "writer_reader_lagging", 1)] {
        stack.pair().pause_replay().await.unwrap();
        let copying = format!(
            "UPDATE pg_subscription_rel SET srsubstate = '{state}' WHERE srrelid = 'container_repositories'::regclass"
        );
        reader.batch_execute(&copying).await.unwrap();
        let functions = stack
            .run_functions(&[Function::MigrationStatus, Function::GuardMigrations], |_, _| {})
            .await
            .unwrap();
        let round = functions.invoke_on_schedule(Function::GuardMigrations).await.unwrap();
        assert_eq!((&round["hinted_by"], &round["hinted"]), (&by.into(), &hinted.into()), "{state}: {round}");
        let list = stack.client_of(&functions).as_operator(Method::GET, "/migrations").send().await.unwrap();
        assert_eq!(list.json::<Value>().await.unwrap()["served_by"], by, "{state}");
        functions.stop();
    }
    let recovery: bool = reader.query_one("SELECT pg_is_in_recovery()", &[]).await.unwrap().get(0);
    assert!(!recovery);
    let change = "UPDATE container_repositories SET priority = 7";
    reader.batch_execute(&format!("BEGIN; {change}; ROLLBACK")).await.unwrap();
    reader.batch_execute("SET ROLE migration_reader").await.unwrap();
    let refused = reader.batch_execute(change).await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "42501");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_does_not_start_with_what_its_topology_cannot_be() {
    let stack = Stack::start(StackOptions { functions: Vec::new(), ..options() }).await.unwrap();
    let started = stack
        .run_functions(&[Function::MigrationStatus], |_, environment| {
            environment.insert("READER_HOST".to_owned(), "cluster-ro".to_owned());
            environment.insert("READER_ARN".to_owned(), WRITER_ARN.to_owned());
        })
        .await;
    let refusal = started.unwrap_err().to_string();
    for named in
        ["READER_HOST is not used with TOPOLOGY=replica-cluster", "READER_ARN is wrong: the writer's own"]
    {
        assert!(refusal.contains(named), "{refusal}");
    }
    stack.stop().await.unwrap();
}

/// What a binary holds of PostgreSQL's client: the names of its sources stand in its panics.
fn speaks_postgresql(function: Function) -> bool {
    let binary = std::fs::read(built_functions().unwrap().join(function.name())).unwrap();
    let text = String::from_utf8_lossy(&binary);
    text.contains("tokio-postgres") || text.contains("tokio_postgres") || text.contains("SET LOCAL TimeZone")
}

#[test]
fn only_functions_that_read_on_the_reader_contain_a_way_to_it() {
    for function in Function::ALL {
        assert_eq!(speaks_postgresql(function), READING.contains(&function), "{}", function.name());
    }
}
