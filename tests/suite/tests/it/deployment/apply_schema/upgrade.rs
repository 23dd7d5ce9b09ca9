use local::DATABASE;
use shared::store::schema::{Script, scripts};

use super::bench::{Bench, history};

/// One more than there is: an upgrade to something, however many scripts there are.
const NEXT: &str = "-- A later version's.
    ALTER TABLE container_repositories ADD COLUMN colour text NOT NULL DEFAULT 'green';
    CREATE INDEX container_repositories_by_colour ON container_repositories (colour);";

/// Rows as the first version already had them.
const ROWS: &str = "
    INSERT INTO container_repositories (path, tags_count, plan) VALUES ('a/new', 7, 'free');
    INSERT INTO container_repositories (path, migration_state, version, attempt, slot, pre_import_started_at)
        VALUES ('a/busy', 'pre_importing', 2, gen_random_uuid(), 3, now());
    UPDATE migration_slots SET repository_id = (SELECT id FROM container_repositories WHERE path = 'a/busy')
        WHERE slot = 3;
    INSERT INTO container_repositories (path, migration_state, version, import_done_at)
        VALUES ('a/done', 'import_done', 4, now());
    INSERT INTO migration_transitions (repository_id, version, event, from_state, to_state, cause)
        SELECT id, version, 'given', 'default', migration_state, 'test' FROM container_repositories;
    UPDATE migration_settings SET enabled = true, capacity = 9, target_plans = '{free}';
    INSERT INTO migration_settings_changes (version, changes) VALUES (2, '{\"capacity\": 9}');
    UPDATE replica_mark SET mark = 5;";

const TABLES: [&str; 6] = [
    "container_repositories",
    "migration_slots",
    "migration_transitions",
    "migration_settings",
    "migration_settings_changes",
    "replica_mark",
];

#[tokio::test(flavor = "multi_thread")]
async fn upgrades_every_earlier_version_with_its_rows() {
    let bench = Bench::start().await;
    let mut all = scripts();
    all.push(Script { number: u16::try_from(all.len() + 1).unwrap(), name: "9999_next", sql: NEXT });
    for before in 0..=all.len() {
        let database = format!("from_{before}");
        bench.database(&database).await;
        bench.apply(&database, &all[..before]).await.unwrap();
        assert_eq!(history(&bench, &database).await.len(), before);
        let client = bench.login("postgres", "", &database).await.unwrap();
        if before > 0 {
            client.batch_execute(ROWS).await.unwrap();
        }
        for table in TABLES.iter().filter(|_| before > 0) {
            let keep =
                format!("CREATE TEMP TABLE kept_{table} AS SELECT to_jsonb(t) AS row FROM {table} AS t");
            client.batch_execute(&keep).await.unwrap();
        }

        let applied = bench.apply(&database, &all).await.unwrap();
        assert_eq!(applied.applied, all[before..].iter().map(|script| script.name).collect::<Vec<_>>());
        assert_eq!(applied.newest, "9999_next");
        assert_eq!(history(&bench, &database).await.len(), all.len());
        for table in TABLES.iter().filter(|_| before > 0) {
            // A row may have got columns; what it had, it has.
            let lost = format!(
                "SELECT count(*) FROM kept_{table} AS k
                 WHERE NOT EXISTS (SELECT FROM {table} AS t WHERE to_jsonb(t) @> k.row)"
            );
            let lost: i64 = client.query_one(&lost, &[]).await.unwrap().get(0);
            let kept: i64 =
                client.query_one(&format!("SELECT count(*) FROM kept_{table}"), &[]).await.unwrap().get(0);
            assert_eq!(lost, 0, "{table}, from version {before}");
            assert!(kept > 0, "{table} had no rows");
        }
        assert_eq!(bench.ask(&database, "SELECT count(colour)::text FROM container_repositories").await, {
            if before > 0 { "3" } else { "0" }
        });
    }
    bench.stop().await;
}

/// Scripts as they were written first.
const FORMER: [(&str, &str); 5] = [
    ("0002_observation", include_str!("former/0002_observation.sql")),
    ("0007_leases", include_str!("former/0007_leases.sql")),
    ("0008_tags", include_str!("former/0008_tags.sql")),
    ("0009_brake", include_str!("former/0009_brake.sql")),
    ("0010_retry_backoff", include_str!("former/0010_retry_backoff.sql")),
];

/// The tables as far as their users see them.
const LOOKS: [&str; 4] = [
    "SELECT string_agg(concat_ws(' ', table_name, column_name, data_type, column_default, is_nullable), ','
        ORDER BY table_name, ordinal_position) FROM information_schema.columns WHERE table_schema = 'public'",
    "SELECT string_agg(indexdef || indisvalid, ',' ORDER BY indexdef) FROM pg_indexes
        JOIN pg_index ON indexrelid = indexname::regclass WHERE schemaname = 'public'",
    "SELECT string_agg(concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)), ',' ORDER BY conrelid::regclass::text, conname)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
    "SELECT string_agg(concat_ws(' ', path, state_since = coalesce(pre_import_started_at, import_done_at, created_at)),
        ',' ORDER BY path) FROM container_repositories",
];

#[tokio::test(flavor = "multi_thread")]
async fn knows_scripts_that_were_written_otherwise() {
    let bench = Bench::start().await;
    let all = scripts();
    let former: Vec<Script> = all
        .iter()
        .map(|script| {
            let sql = FORMER.iter().find(|(name, _)| *name == script.name).map(|(_, sql)| *sql);
            assert_ne!(sql, Some(script.sql), "{}", script.name);
            Script { sql: sql.unwrap_or(script.sql), ..*script }
        })
        .collect();
    let mut looks = Vec::new();
    for (database, first) in [("former", former), ("present", all.clone())] {
        bench.database(database).await;
        bench.apply(database, &first[..1]).await.unwrap();
        // Created at another time than the scripts are applied.
        let client = bench.login("postgres", "", database).await.unwrap();
        client.batch_execute(ROWS).await.unwrap();
        bench.apply(database, &first[..10]).await.unwrap();
        assert_eq!(bench.apply(database, &all).await.unwrap().applied.len(), all.len() - 10, "{database}");
        let mut look = Vec::new();
        for query in LOOKS {
            look.push(bench.ask(database, query).await);
        }
        looks.push(look);
    }
    assert_eq!(looks[0], looks[1]);
    assert!(!looks[0][2].contains("NOT VALID"), "{}", looks[0][2]);
    assert_eq!(looks[0][3], "a/busy t,a/done t,a/new t");
    bench.stop().await;
}

/// The first script that was written for databases that are in use.
const IN_USE: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn writes_no_table_anew_that_has_rows() {
    let bench = Bench::start().await;
    let all = scripts();
    bench.apply(DATABASE, &all[..IN_USE - 1]).await.unwrap();
    bench.sql(ROWS).await;
    let files = "SELECT string_agg(concat_ws(' ', relname, pg_relation_filenode(oid)), ',' ORDER BY relname)
        FROM pg_class WHERE relname = ANY (string_to_array('container_repositories,migration_slots,'
            || 'migration_transitions,migration_settings,migration_settings_changes,replica_mark', ','))";
    let before = bench.ask(DATABASE, files).await;
    bench.apply(DATABASE, &all).await.unwrap();
    assert_eq!(bench.ask(DATABASE, files).await, before);
    bench.stop().await;
}
