//! Databases with settings of their own, under which a statement would mean something else or nothing.

use local::{DATABASE, Function, OWNER_SECRET_ARN, READER_ARN, Stack, StackOptions, Topology, WRITER_ARN};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use shared::store::schema::{SchemaError, scripts};
use suite::given;
use uuid::Uuid;

use super::{
    bench::{Bench, apply, store},
    function::empty,
};

/// What somebody may have set for all that use the database.
const OF_ITS_OWN: [&str; 6] = [
    "default_transaction_isolation = 'serializable'",
    "search_path = ''",
    "TimeZone = 'Asia/Kathmandu'",
    "DateStyle = 'SQL, DMY'",
    "standard_conforming_strings = off",
    "transform_null_equals = on",
];

/// The same, where the schema is there already: an index is made without a transaction, so under the owner's settings.
const LATER: [&str; 2] = ["default_transaction_read_only = on", "statement_timeout = '1ms'"];

async fn read(stack: &Stack, functions: &local::FunctionSet) -> Value {
    let asked = stack.client_of(functions).as_operator(Method::GET, "/migrations/status/group/image");
    let answer = asked.send().await.unwrap();
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

async fn works_on_a_database_with_settings_of_its_own(topology: Topology) {
    let stack =
        Stack::start(StackOptions { functions: Vec::new(), topology, instances: 1, ..suite::options() })
            .await
            .unwrap();
    empty(&stack).await;
    // What this session does it does as before.
    let client = stack.pair().writer().connect().await.unwrap();
    let set = async |settings: &[&str]| {
        for setting in settings {
            client.batch_execute(&format!("ALTER DATABASE {DATABASE} SET {setting}")).await.unwrap();
        }
    };
    set(&OF_ITS_OWN).await;
    apply(&store(stack.data_api(), WRITER_ARN, DATABASE, OWNER_SECRET_ARN), &scripts()).await.unwrap();
    for of_tests in ["search_path = public", "default_transaction_read_only = off", "statement_timeout = 0"] {
        client.batch_execute(&format!("ALTER ROLE postgres SET {of_tests}")).await.unwrap();
    }
    set(&LATER).await;
    let attempt = Uuid::new_v4();
    given(&stack, "group/image", "pre_importing", Some(attempt)).await.unwrap();
    let used = [Function::RegistryNotification, Function::MigrationStatus];
    let functions = stack.run_functions(&used, |_, _| ()).await.unwrap();
    let (client_of_functions, id) = (stack.client_of(&functions), attempt.to_string());
    let reply = client_of_functions.notify("group/image", "pre_import_failed", Some(&id)).await.unwrap();
    assert_eq!(reply.status(), StatusCode::OK);
    stack.pair().wait_until_replayed().await.unwrap();
    let row = read(&stack, &functions).await;
    assert_eq!(
        (&row["migration_state"], &row["served_by"]),
        (&"import_aborted".into(), &"reader".into()),
        "{row}"
    );
    let created = row["created_at"].as_str().unwrap();
    assert!(created.ends_with('Z') || created.ends_with("+00:00"), "{created}");
    functions.stop();

    // A reader over TCP says itself what it relies on: a proxy's session may be anybody's.
    if topology == Topology::DirectReader {
        client
            .batch_execute(&format!(
                "ALTER ROLE migration_reader IN DATABASE {DATABASE} RESET ALL;
                 ALTER DATABASE {DATABASE} RESET statement_timeout; ALTER DATABASE {DATABASE} RESET DateStyle;
                 ALTER DATABASE {DATABASE} RESET standard_conforming_strings"
            ))
            .await
            .unwrap();
        stack.pair().wait_until_replayed().await.unwrap();
        let functions = stack.run_functions(&used[1..], |_, _| ()).await.unwrap();
        assert_eq!(read(&stack, &functions).await["served_by"], "reader");
        functions.stop();
    } else {
        assert!(stack.data_api().journal().iter().any(|call| call.arn.as_deref() == Some(READER_ARN)));
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn works_through_the_data_api_whatever_a_database_sets() {
    works_on_a_database_with_settings_of_its_own(Topology::StandbyCluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn works_over_tcp_whatever_a_database_sets() {
    works_on_a_database_with_settings_of_its_own(Topology::DirectReader).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_database_that_cannot_hold_every_character() {
    let bench = Bench::start().await;
    bench
        .sql(&format!(
            "CREATE DATABASE latin OWNER {} ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'",
            local::OWNER_ROLE
        ))
        .await;
    let refused = bench.apply("latin", &scripts()).await.unwrap_err();
    assert_eq!(refused, SchemaError::Encoding { found: "LATIN1".to_owned() });
    assert!(
        refused.to_string().starts_with("the database's encoding is LATIN1, UTF8 is needed: "),
        "{refused}"
    );
    bench.stop().await;
}
