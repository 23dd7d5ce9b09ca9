//! A second cluster that replicates the first (`replica-cluster`).

use std::time::Duration;

use local::DATABASE;
use shared::store::schema::{Applied, Publisher, Roles, SchemaError, Script, scripts};
use tokio_postgres::Client;

use super::bench::{Bench, in_time, roles, verifier};

fn publisher(bench: &Bench, password: &str) -> Publisher {
    let writer = bench.pair.writer();
    Publisher {
        host: writer.host.clone(),
        port: writer.port,
        database: DATABASE.to_owned(),
        password: password.to_owned().into(),
    }
}

/// What the function does for a second cluster.
async fn replicate(bench: &Bench, scripts: &[Script], from: &Publisher) -> Result<[Applied; 2], SchemaError> {
    let (first, second) = (bench.store(DATABASE), bench.second(DATABASE));
    let until = in_time(Duration::from_secs(60));
    let password = secrecy::ExposeSecret::expose_secret(&from.password);
    let there = Roles { driver: None, ..roles("driver-1", "reader-1") };
    let here = Roles { replication: Some(verifier(password)), ..roles("driver-1", "reader-1") };
    let applied =
        [second.apply(scripts, 0, &there, until).await?, first.apply(scripts, 0, &here, until).await?];
    second.subscribe(&first, from, until).await?;
    Ok(applied)
}

async fn both(bench: &Bench) -> (Client, Client) {
    (bench.pair.writer().connect().await.unwrap(), bench.pair.reader().connect().await.unwrap())
}

/// Waits until a question has the same answer on both.
async fn same(what: &str, (first, second): (&Client, &Client), query: &str) {
    suite::until(what, async || {
        let of = async |client: &Client| {
            Ok::<Option<String>, tokio_postgres::Error>(client.query_one(query, &[]).await?.get(0))
        };
        Ok(of(first).await? == of(second).await?)
    })
    .await
    .unwrap();
}

const SLOTS: &str = "SELECT count(*)::text FROM pg_replication_slots WHERE slot_name = 'registry_migrations'";

const ROWS: &str =
    "SELECT coalesce(string_agg(path || priority, ',' ORDER BY path), '') FROM container_repositories";

#[tokio::test(flavor = "multi_thread")]
async fn a_second_cluster_gets_what_is_there_and_whatever_comes() {
    let bench = Bench::of_two_clusters().await;
    // The first cluster is in use already.
    bench.apply(DATABASE, &scripts()).await.unwrap();
    bench.ask_for_passwords().await;
    let (first, second) = both(&bench).await;
    first
        .batch_execute(
            "INSERT INTO container_repositories (path) VALUES ('before/image');
             UPDATE migration_settings SET capacity = 7; UPDATE replica_mark SET mark = 3",
        )
        .await
        .unwrap();

    let [there, here] = replicate(&bench, &scripts(), &publisher(&bench, "replication-1")).await.unwrap();
    assert_eq!((there.applied.len(), here.applied.len()), (scripts().len(), 0));
    let clients = (&first, &second);
    same("what was there is copied", clients, ROWS).await;
    let rest =
        "SELECT (SELECT capacity FROM migration_settings) || ' ' || (SELECT mark FROM replica_mark) || ' '
        || (SELECT count(*) FROM migration_slots)";
    same("and the settings, the mark, the slots", clients, rest).await;
    first.batch_execute("INSERT INTO container_repositories (path) VALUES ('after/image')").await.unwrap();
    same("what comes is replicated", clients, ROWS).await;
    let tables = "SELECT string_agg(tablename, ',' ORDER BY tablename) FROM pg_tables
        WHERE schemaname = 'public' AND tablename NOT IN ('schema_versions', 'replica_mark_times', 'migration_tag_lists',
            'migration_hold_changes')
            AND tablename !~ '^import(er|s)?(_|$)'";
    let published = "SELECT string_agg(tablename, ',' ORDER BY tablename) FROM pg_publication_tables
        WHERE pubname = 'registry_migrations'";
    assert_eq!(bench.ask(DATABASE, published).await, bench.ask(DATABASE, tables).await);
    // Nobody writes there by the driver's secret.
    let may: String = second
        .query_one("SELECT rolcanlogin::text FROM pg_roles WHERE rolname = 'migration_driver'", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(may, "false");

    // Again, with another password and a further column.
    let more = Script {
        number: u16::try_from(scripts().len() + 1).unwrap(),
        name: "9999_more",
        sql: "ALTER TABLE container_repositories ADD COLUMN more text;",
    };
    let all: Vec<Script> = scripts().into_iter().chain([more]).collect();
    let [there, here] = replicate(&bench, &all, &publisher(&bench, "replication-2")).await.unwrap();
    assert_eq!((there.applied, here.applied), (vec!["9999_more"], vec!["9999_more"]));
    // Cut off, it comes back by the new password alone.
    first
        .batch_execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active")
        .await
        .unwrap();
    first.batch_execute("UPDATE container_repositories SET more = 'x', priority = 5").await.unwrap();
    same(
        "the new column is replicated",
        clients,
        "SELECT string_agg(more || priority, ',') FROM container_repositories",
    )
    .await;
    assert_eq!(bench.ask(DATABASE, SLOTS).await, "1");

    for call in bench.api.journal() {
        let sql = call.sql.unwrap_or_default();
        assert!(
            !["replication-1", "replication-2", "SCRAM"].iter().any(|secret| sql.contains(secret)),
            "{sql}"
        );
    }
    assert_eq!(bench.api.open_transactions(), 0);

    // An address where the first cluster is not is found out, and put right again.
    let nowhere = Publisher { port: 1, ..publisher(&bench, "replication-2") };
    let error = replicate(&bench, &all, &nowhere).await.unwrap_err().to_string();
    assert!(error.starts_with("asking the first cluster which tables it publishes: "), "{error}");
    replicate(&bench, &all, &publisher(&bench, "replication-2")).await.unwrap();

    // What the replica has missed for good is said, not passed over.
    second.batch_execute("ALTER SUBSCRIPTION registry_migrations DISABLE").await.unwrap();
    suite::until("the slot can be dropped", async || {
        let drop = "SELECT pg_drop_replication_slot('registry_migrations')";
        Ok(first.batch_execute(drop).await.is_ok())
    })
    .await
    .unwrap();
    let error = replicate(&bench, &all, &publisher(&bench, "replication-2")).await.unwrap_err();
    assert_eq!(error, SchemaError::SlotGone);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_what_cannot_be_replicated_and_keeps_no_slot() {
    let bench = Bench::of_two_clusters().await;
    // The first cluster's port, where nobody is.
    let nowhere = Publisher { port: 1, ..publisher(&bench, "replication-1") };
    let error = replicate(&bench, &scripts(), &nowhere).await.unwrap_err().to_string();
    assert!(error.starts_with("subscribing to the first cluster: "), "{error}");
    assert!(error.contains("could not connect to the publisher"), "{error}");
    assert_eq!(bench.ask(DATABASE, SLOTS).await, "0", "the writer keeps its log for nobody");
    bench.ask_for_passwords().await;
    let (first, second) = (bench.store(DATABASE), bench.second(DATABASE));
    let until = in_time(Duration::from_secs(60));
    let wrong = publisher(&bench, "hunter2");
    let error = second.subscribe(&first, &wrong, until).await.unwrap_err().to_string();
    assert!(error.contains("password authentication failed for user"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    let log = bench.pair.reader().log().unwrap();
    assert!(log.contains("password authentication failed"), "the server's own log is where it is looked for");
    assert!(!log.contains("hunter2"), "a password is in the server's log");

    bench
        .pair
        .reader()
        .connect()
        .await
        .unwrap()
        .batch_execute("INSERT INTO container_repositories (path) VALUES ('its/own')")
        .await
        .unwrap();
    let error =
        replicate(&bench, &scripts(), &publisher(&bench, "replication-1")).await.unwrap_err().to_string();
    assert!(error.contains("this cluster has repositories of its own, so it is no replica"), "{error}");
    assert_eq!(bench.ask(DATABASE, SLOTS).await, "0");

    bench.sql("ALTER SYSTEM SET wal_level = replica").await;
    bench.pair.restart_writer().await.unwrap();
    let error =
        replicate(&bench, &scripts(), &publisher(&bench, "replication-1")).await.unwrap_err().to_string();
    assert!(
        error.contains("rds.logical_replication is not 1 in the parameter group of the first cluster"),
        "{error}"
    );
    assert_eq!(bench.api.open_transactions(), 0);
    bench.stop().await;
}
