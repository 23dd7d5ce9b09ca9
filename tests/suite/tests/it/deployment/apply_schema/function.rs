//! The function as a process of its own, invoked as CloudFormation invokes it.

use std::sync::{Arc, Mutex};

use apply_schema::PHYSICAL_ID;
use axum::{Router, body::Bytes, http::HeaderMap, routing::put};
use base64::Engine as _;
use local::{
    DATABASE, Function, FunctionSet, NOTIFICATION_SECRET_ARN, OPERATOR_TOKEN_SECRET_ARN, OWNER_ROLE,
    OWNER_SECRET_ARN, READER_ARN, READER_SECRET_ARN, REPLICATION_SECRET_ARN, SIGNING_KEY_SECRET_ARN,
    STACK_ID, Stack, StackOptions, Topology, WRITER_SECRET_ARN,
};
use serde_json::{Value, json};
use shared::store::schema::{newest, scripts};
use tokio::net::TcpListener;
use tokio_postgres::NoTls;

/// Where a stack waits for its answers.
struct Waiting {
    url: String,
    reports: Arc<Mutex<Vec<Value>>>,
}

impl Waiting {
    async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/stack", listener.local_addr().unwrap());
        let reports: Arc<Mutex<Vec<Value>>> = Arc::default();
        let keep = Arc::clone(&reports);
        let answer = async move |headers: HeaderMap, body: Bytes| {
            assert!(!headers.contains_key("content-type"));
            keep.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/stack", put(answer))).await });
        Self { url, reports }
    }

    /// Invokes the function and takes the one answer that the stack gets.
    async fn ask(&self, functions: &FunctionSet, kind: &str, properties: Value) -> (String, String) {
        self.ask_after(functions, kind, properties, Value::Null).await
    }

    /// The same, where the resource had other properties before.
    async fn ask_after(
        &self,
        functions: &FunctionSet,
        kind: &str,
        properties: Value,
        before: Value,
    ) -> (String, String) {
        let event = json!({
            "RequestType": kind,
            "ResponseURL": self.url,
            "StackId": "arn:aws:cloudformation:eu-central-1:123456789012:stack/driver/1",
            "RequestId": "request-1",
            "ResourceType": "Custom::Schema",
            "LogicalResourceId": "Schema",
            "PhysicalResourceId": PHYSICAL_ID,
            "ResourceProperties": properties,
            "OldResourceProperties": before,
        });
        functions.invoke(Function::ApplySchema, &event).await.unwrap();
        let reports = std::mem::take(&mut *self.reports.lock().unwrap());
        let [report] = &reports[..] else { panic!("{kind}: {reports:?}") };
        assert_eq!(report["PhysicalResourceId"], PHYSICAL_ID);
        assert_eq!(
            (&report["RequestId"], &report["LogicalResourceId"]),
            (&json!("request-1"), &json!("Schema"))
        );
        let text = |name: &str| report[name].as_str().unwrap_or_default().to_owned();
        (text("Status"), text("Reason"))
    }
}

/// The database as a new cluster has it.
pub async fn empty(stack: &Stack) {
    let dsn = stack.pair().writer().dsn().replace(DATABASE, "postgres");
    let (client, connection) = tokio_postgres::connect(&dsn, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(&format!("DROP DATABASE {DATABASE} WITH (FORCE)")).await.unwrap();
    client.batch_execute("DROP ROLE migration_driver, migration_reader").await.unwrap();
    client.batch_execute(&format!("CREATE DATABASE {DATABASE} OWNER {OWNER_ROLE}")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_is_answered_whatever_it_asks_and_whatever_is_missing() {
    let stack =
        Stack::start(StackOptions { functions: Vec::new(), instances: 1, ..suite::options() }).await.unwrap();
    empty(&stack).await;
    let login = |role: &str, password: &str| json!({"username": role, "password": password}).to_string();
    stack.secrets().put(WRITER_SECRET_ARN, login("migration_driver", "only-the-driver-knows"));
    stack.secrets().put(READER_SECRET_ARN, login("migration_reader", "only-the-reader-knows"));
    let functions = stack.run_functions(&[Function::ApplySchema], |_, _| ()).await.unwrap();
    let waiting = Waiting::listen().await;
    let properties = json!({"ServiceToken": "arn", "NewestScript": newest()});

    let (status, reason) = waiting.ask(&functions, "Create", json!({"ServiceToken": "arn"})).await;
    assert_eq!(status, "FAILED");
    assert_eq!(reason, "the property NewestScript is missing or names no script");

    let success = ("SUCCESS".to_owned(), String::new());
    assert_eq!(waiting.ask(&functions, "Create", properties.clone()).await, success);
    let client = stack.pair().writer().connect().await.unwrap();
    let count = |table: &'static str| {
        let client = &client;
        async move {
            let query = format!("SELECT count(*) FROM {table}");
            client.query_one(&query, &[]).await.unwrap().get::<_, i64>(0)
        }
    };
    assert_eq!(count("schema_versions").await, i64::try_from(scripts().len()).unwrap());
    assert_eq!(waiting.ask(&functions, "Update", properties.clone()).await, success);
    assert_eq!(waiting.ask(&functions, "Delete", json!("whatever it was")).await, success);
    assert_eq!(count("migration_slots").await, 1000, "deleting leaves the data alone");

    // It was given up; whoever comes next has it.
    let of_another = |_, environment: &mut local::Environment| {
        environment.insert("STACK_ID".to_owned(), STACK_ID.replace("driver", "other"));
    };
    let another = stack.run_functions(&[Function::ApplySchema], of_another).await.unwrap();
    assert_eq!(waiting.ask(&another, "Create", properties.clone()).await, success);
    let (status, reason) = waiting.ask(&functions, "Update", properties.clone()).await;
    assert_eq!(status, "FAILED");
    let other = STACK_ID.replace("driver", "other");
    assert!(reason.starts_with(&format!("the cluster belongs to the stack {other}, ")), "{reason}");
    let mut take_over = properties.clone();
    take_over["TakeOverDatabaseFrom"] = other.into();
    assert_eq!(waiting.ask(&functions, "Update", take_over).await, success);
    assert_eq!(waiting.ask(&another, "Delete", json!({})).await, success);
    assert_eq!(waiting.ask(&functions, "Update", properties.clone()).await, success, "it is still ours");
    another.stop();

    let by_hand = functions.invoke(Function::ApplySchema, &json!({})).await.unwrap();
    assert_eq!(by_hand, json!({"applied": [], "newest": newest()}));

    // The stack has gone back to an earlier version than the database's. What asks for no script sets the passwords.
    let later = format!("INSERT INTO schema_versions VALUES ({}, '9999_later', '')", scripts().len() + 1);
    client.batch_execute(&later).await.unwrap();
    let (status, reason) = waiting.ask(&functions, "Create", properties.clone()).await;
    assert_eq!(status, "FAILED");
    assert!(reason.starts_with("the database is newer than this version: it has 9999_later"), "{reason}");
    let by_hand = functions.invoke(Function::ApplySchema, &json!({})).await.unwrap();
    assert_eq!(by_hand, json!({"applied": [], "newest": "9999_later"}));
    let before = properties.clone();
    assert_eq!(waiting.ask_after(&functions, "Update", properties.clone(), before).await, success);
    client.batch_execute("DELETE FROM schema_versions WHERE name = '9999_later'").await.unwrap();

    stack.secrets().put(READER_SECRET_ARN, login("migration_driver", "only-the-driver-knows"));
    let (status, reason) = waiting.ask(&functions, "Update", properties.clone()).await;
    assert_eq!(status, "FAILED");
    assert!(reason.ends_with("is not that of the role migration_reader"), "{reason}");
    stack.secrets().remove(READER_SECRET_ARN);
    let (status, reason) = waiting.ask(&functions, "Update", properties.clone()).await;
    assert_eq!(status, "FAILED");
    assert!(reason.contains(READER_SECRET_ARN) && reason.contains("ResourceNotFoundException"), "{reason}");
    let log = functions.log(Function::ApplySchema);
    assert!(log.contains("the resource failed"), "{log}");
    assert!(!log.contains("only-the-") && !log.contains("SCRAM-SHA-256"), "{log}");
    functions.stop();

    let untold = stack
        .run_functions(&[Function::ApplySchema], |_, environment| {
            environment.remove("OWNER_SECRET_ARN");
            environment.insert("WRITER_ARN".to_owned(), "nothing".to_owned());
        })
        .await
        .unwrap();
    let (status, reason) = waiting.ask(&untold, "Create", properties).await;
    assert_eq!(status, "FAILED");
    assert!(
        reason.contains("OWNER_SECRET_ARN is missing") && reason.contains("WRITER_ARN is wrong"),
        "{reason}"
    );
    assert_eq!(waiting.ask(&untold, "Delete", json!({})).await.0, "SUCCESS", "a stack can always be removed");
    untold.stop();
    stack.stop().await.unwrap();
}

/// A secret that nobody could use, and what the stack's events say of it.
fn of_no_use() -> Vec<(&'static str, String, &'static str)> {
    let plain = "is a JSON object (key and value): store the value alone, as plain text";
    let console = || r#"{"secret":"hunter2"}"#.to_owned();
    let login = "is not a JSON object with a username and a password";
    let pem = |label: &str, body: &[u8]| {
        let body = base64::prelude::BASE64_STANDARD.encode(body);
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    };
    // The beginnings of keys made by `openssl genpkey`.
    let ec =
        [&[0x30, 0x81, 0x87, 2, 1, 0, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1][..], &[7; 32]]
            .concat();
    let ed25519 = [&[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70][..], &[7; 32]].concat();
    let rsa = local::local_registry::SigningKeys::generate().unwrap().private_key_pem;
    let escaped = secrecy::ExposeSecret::expose_secret(&rsa).replace('\n', r"\n");
    let key = SIGNING_KEY_SECRET_ARN;
    vec![
        (NOTIFICATION_SECRET_ARN, console(), plain),
        (OPERATOR_TOKEN_SECRET_ARN, console(), plain),
        (OWNER_SECRET_ARN, "hunter2".to_owned(), login),
        (OWNER_SECRET_ARN, r#"{"password":"hunter2"}"#.to_owned(), login),
        (key, console(), "it is a JSON object, store the PEM alone, as plain text"),
        (
            key,
            escaped,
            r"its line breaks are written as \n, store the file as it is, or without any line breaks",
        ),
        (key, pem("PRIVATE KEY", &ec), "it is an EC key"),
        (key, pem("EC PRIVATE KEY", b"hunter2"), "it is an EC key"),
        (key, pem("PRIVATE KEY", &ed25519), "it is an Ed25519 key"),
        (key, pem("CERTIFICATE", b"hunter2"), "it is the public half, which the registry gets"),
        (key, pem("PRIVATE KEY", b"hunter2"), "it is damaged"),
        (key, "hunter2".to_owned(), "it is no PEM"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn names_a_secret_that_no_function_could_use() {
    let stack =
        Stack::start(StackOptions { functions: Vec::new(), instances: 1, ..suite::options() }).await.unwrap();
    empty(&stack).await;
    let functions = stack.run_functions(&[Function::ApplySchema], |_, _| ()).await.unwrap();
    let waiting = Waiting::listen().await;
    let properties = json!({"ServiceToken": "arn", "NewestScript": newest()});
    for (arn, value, words) in of_no_use() {
        let right = stack.secrets().put(arn, value.clone());
        let (status, reason) = waiting.ask(&functions, "Create", properties.clone()).await;
        assert_eq!(status, "FAILED", "{arn}: {words}");
        assert!(reason.starts_with(&format!("the secret {arn}")) && reason.ends_with(words), "{reason}");
        stack.secrets().put(arn, right.unwrap());
    }
    stack.secrets().remove(OWNER_SECRET_ARN);
    let (_, reason) = waiting.ask(&functions, "Create", properties).await;
    assert!(reason.contains(OWNER_SECRET_ARN) && reason.contains("ResourceNotFoundException"), "{reason}");
    assert!(!functions.log(Function::ApplySchema).contains("hunter2"));
    functions.stop();

    // A function says it too, where somebody stores such a value later.
    for (function, arn) in [
        (Function::RegistryNotification, NOTIFICATION_SECRET_ARN),
        (Function::StartMigration, OPERATOR_TOKEN_SECRET_ARN),
        (Function::StartMigration, SIGNING_KEY_SECRET_ARN),
    ] {
        let right = stack.secrets().put(arn, r#"{"secret":"hunter2"}"#.to_owned());
        let error = stack.run_functions(&[function], |_, _| ()).await.unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains(arn) && text.contains("is a JSON object"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        stack.secrets().put(arn, right.unwrap());
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_with_a_second_cluster_has_it_replicate_the_first() {
    let options = StackOptions {
        topology: Topology::ReplicaCluster,
        functions: Vec::new(),
        instances: 1,
        ..suite::options()
    };
    let stack = Stack::start(options).await.unwrap();
    let (first, second) = (stack.pair().writer(), stack.pair().reader());
    // As two new clusters have it.
    second.connect().await.unwrap().batch_execute("DROP SUBSCRIPTION registry_migrations").await.unwrap();
    for server in [first, second] {
        let (client, connection) =
            tokio_postgres::connect(&server.dsn().replace(DATABASE, "postgres"), NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(&format!("DROP DATABASE {DATABASE} WITH (FORCE)")).await.unwrap();
        client
            .batch_execute("DROP ROLE migration_driver, migration_reader, migration_replication")
            .await
            .unwrap();
        client.batch_execute(&format!("CREATE DATABASE {DATABASE} OWNER {OWNER_ROLE}")).await.unwrap();
    }
    let registry_at = |port: u16| {
        let (host, port) = (first.host.clone(), port.to_string());
        move |_, environment: &mut local::Environment| {
            environment.extend(
                [
                    ("TOPOLOGY", "replica-cluster"),
                    ("READER_ARN", READER_ARN),
                    ("READER_OWNER_SECRET_ARN", OWNER_SECRET_ARN),
                    ("REPLICATION_SECRET_ARN", REPLICATION_SECRET_ARN),
                    ("WRITER_HOST", &host),
                    ("WRITER_PORT", &port),
                ]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
            );
        }
    };
    let properties = json!({"ServiceToken": "arn", "NewestScript": newest()});
    let waiting = Waiting::listen().await;

    // Nobody is there: the response says so, and both clusters have their schema.
    let functions = stack.run_functions(&[Function::ApplySchema], registry_at(1)).await.unwrap();
    let (status, reason) = waiting.ask(&functions, "Create", properties.clone()).await;
    assert_eq!(status, "FAILED");
    assert!(
        reason.starts_with("replication to the second cluster: subscribing to the first cluster: "),
        "{reason}"
    );
    functions.stop();

    let functions = stack.run_functions(&[Function::ApplySchema], registry_at(first.port)).await.unwrap();
    let success = ("SUCCESS".to_owned(), String::new());
    for kind in ["Create", "Update"] {
        assert_eq!(waiting.ask(&functions, kind, properties.clone()).await, success, "{kind}");
        first
            .connect()
            .await
            .unwrap()
            .execute("INSERT INTO container_repositories (path) VALUES ($1)", &[&kind.to_lowercase()])
            .await
            .unwrap();
        stack.pair().wait_until_replayed().await.unwrap();
        let query = "SELECT path FROM container_repositories ORDER BY id DESC LIMIT 1";
        let path: String = second.connect().await.unwrap().query_one(query, &[]).await.unwrap().get(0);
        assert_eq!(path, kind.to_lowercase());
    }
    let logins = "SELECT string_agg(rolname, ',' ORDER BY rolname) FROM pg_roles
        WHERE rolcanlogin AND rolname ~ '^migration_' AND rolname <> $1";
    for (server, expected) in
        [(first, "migration_driver,migration_reader,migration_replication"), (second, "migration_reader")]
    {
        let client = server.connect().await.unwrap();
        let can: String = client.query_one(logins, &[&OWNER_ROLE]).await.unwrap().get(0);
        assert_eq!(can, expected);
    }
    functions.stop();
    stack.stop().await.unwrap();
}
