use std::time::Duration;

use local::DATABASE;
use shared::store::schema::scripts;
use tokio_postgres::error::SqlState;

use super::bench::{Bench, history, in_time, roles};

/// Every table that the scripts make.
const TABLES: &str = "SELECT string_agg(tablename, ',' ORDER BY tablename) FROM pg_tables
    WHERE schemaname = 'public' AND tablename <> 'schema_versions'";

#[tokio::test(flavor = "multi_thread")]
async fn applies_schema_and_roles_once_to_an_empty_database() {
    let bench = Bench::start().await;
    let names: Vec<&str> = scripts().iter().map(|script| script.name).collect();
    let first = bench.apply(DATABASE, &scripts()).await.unwrap();
    assert_eq!((first.applied, first.newest.as_str()), (names.clone(), *names.last().unwrap()));
    let expected: Vec<String> = (1..).zip(&names).map(|(number, name)| format!("{number} {name}")).collect();
    assert_eq!(history(&bench, DATABASE).await, expected);
    bench.ask_for_passwords().await;

    let driver = bench.login("migration_driver", "driver-1", DATABASE).await.unwrap();
    driver.batch_execute("INSERT INTO container_repositories (path) VALUES ('group/image')").await.unwrap();
    driver.batch_execute("UPDATE migration_settings SET enabled = true").await.unwrap();
    let refused = driver.batch_execute("ALTER TABLE replica_mark ADD COLUMN x text").await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "the driver owns nothing");

    let reader = bench.login("migration_reader", "reader-1", DATABASE).await.unwrap();
    for table in bench.ask(DATABASE, TABLES).await.split(',') {
        reader.batch_execute(&format!("SELECT count(*) FROM {table}")).await.unwrap();
        for change in [
            format!("DELETE FROM {table}"),
            format!("INSERT INTO {table} DEFAULT VALUES"),
            format!("TRUNCATE {table}"),
        ] {
            let refused = reader.batch_execute(&change).await.unwrap_err();
            assert_eq!(refused.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{change}: {refused}");
        }
        let may = format!("SELECT has_table_privilege('migration_reader', '{table}', 'UPDATE')::text");
        assert_eq!(bench.ask(DATABASE, &may).await, "false", "{table}");
        // The driver and the importer each see their own.
        let importers = table.starts_with("import");
        for (role, its_own) in [("migration_driver", !importers), ("migration_importer", importers)] {
            let may = format!("SELECT has_table_privilege('{role}', '{table}', 'SELECT, UPDATE')::text");
            assert_eq!(bench.ask(DATABASE, &may).await, its_own.to_string(), "{role}: {table}");
        }
    }
    reader.batch_execute("SELECT name FROM schema_versions").await.unwrap();
    let create = reader.batch_execute("CREATE TABLE mine ()").await.unwrap_err();
    assert_eq!(create.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));

    // Again, after both secrets were changed.
    let again = bench
        .store(DATABASE)
        .apply(&scripts(), 0, &roles("driver-2", "reader-2"), in_time(Duration::from_secs(60)))
        .await
        .unwrap();
    assert_eq!((again.applied, again.newest), (Vec::new(), first.newest));
    for (role, old, new) in
        [("migration_driver", "driver-1", "driver-2"), ("migration_reader", "reader-1", "reader-2")]
    {
        let refused = bench.login(role, old, DATABASE).await.map(drop).unwrap_err();
        assert_eq!(refused.code(), Some(&SqlState::INVALID_PASSWORD), "{role}");
        bench.login(role, new, DATABASE).await.unwrap();
    }
    let rows = bench.ask(DATABASE, "SELECT count(*)::text FROM container_repositories").await;
    assert_eq!(rows, "1", "a second run leaves the rows alone");
    // No password in any statement, and no verifier in the text of one.
    for call in bench.api.journal() {
        let sql = call.sql.unwrap_or_default();
        assert!(!["driver-", "reader-", "SCRAM"].iter().any(|secret| sql.contains(secret)), "{sql}");
    }
    assert_eq!(bench.api.open_transactions(), 0);
    bench.stop().await;
}
