//! Both transports answer alike: every statement of the store is sent through both, to two databases that hold
//! the same, and gives the same rows and the same errors.

mod statements;
mod twin;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use local::Stack;

use self::twin::Twin;

/// The names of all statements there are, from the store's sources.
fn all_statements() -> BTreeSet<String> {
    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // The schema is applied by itself, in a transaction that only the Data API's client knows.
                if path.ends_with("schema") {
                    continue;
                }
                sources(&path, found);
            } else if path.extension().is_some_and(|of| of == "rs") {
                found.push(path);
            }
        }
    }
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/src/store"), &mut files);
    let mut names = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for constructor in ["Statement::read(", "Statement::write_once(", "Statement::repeatable_write("] {
            for (at, _) in text.match_indices(constructor) {
                let after = text[at + constructor.len()..].trim_start();
                let name = after.strip_prefix('"').and_then(|rest| rest.split_once('"'));
                let (name, _) =
                    name.unwrap_or_else(|| panic!("{}: a statement without a name", file.display()));
                names.insert(name.to_owned());
            }
        }
    }
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn returns_the_same_rows_over_both_transports() {
    let stack = super::direct::databases().await;
    let twin = Twin::start(&stack).await;
    statements::run_all(&stack, &twin).await;
    assert_eq!(twin.sent(), all_statements(), "a statement of the store is not tried over both transports");
    none_is_worth_compiling(&stack, &twin).await;
    stack.stop().await.unwrap();
}

/// A million repositories as they are halfway, past the log, so that the standby need not replay them.
const A_MILLION: &str = "
    ALTER TABLE migration_transitions SET UNLOGGED;
    ALTER TABLE migration_slots SET UNLOGGED;
    ALTER TABLE container_repositories SET UNLOGGED;
    INSERT INTO container_repositories (
        path, tags_count, plan, migration_state, skipped_reason, skipped_at, import_done_at
    )
    SELECT
        'root' || n % 1000 || '/image' || n, n % 100, 'free', state,
        CASE state WHEN 'import_skipped' THEN 1 END, CASE state WHEN 'import_skipped' THEN now() END,
        CASE state WHEN 'import_done' THEN now() END
    FROM generate_series(1, 1000000) AS n
    CROSS JOIN LATERAL (
        SELECT CASE WHEN n % 2 = 0 THEN 'default' WHEN n % 100 = 1 THEN 'import_skipped' ELSE 'import_done' END
    ) AS so (state);
    INSERT INTO migration_transitions (repository_id, version, event, from_state, to_state, cause)
    SELECT id, version, 'finish_import', 'importing', 'import_done', 'notification' FROM container_repositories
    WHERE migration_state = 'import_done' AND path LIKE 'root%';
    ANALYZE container_repositories, migration_transitions";

/// PostgreSQL compiles a statement that it takes to cost more than `jit_above_cost`, at each call, which takes far
/// longer than any statement here. Neither tables that are too small to be analysed nor many rows may lead to that.
async fn none_is_worth_compiling(stack: &Stack, twin: &Twin) {
    let client = suite::primary(stack).await.unwrap();
    let bound: f64 =
        client.query_one("SELECT current_setting('jit_above_cost')::float8", &[]).await.unwrap().get(0);
    let fresh = twin.costs().await;
    // Its one row is too little to be analysed by itself, and is never taken for hundreds all the same.
    let settings = "SELECT reltuples::float8 FROM pg_class WHERE oid = 'migration_settings'::regclass";
    let settings: f64 = client.query_one(settings, &[]).await.unwrap().get(0);
    assert!((settings - 1.0).abs() < f64::EPSILON, "{settings} rows");
    client.batch_execute(A_MILLION).await.unwrap();
    for (rows, costs) in [("a few", fresh), ("a million", twin.costs().await)] {
        let dear: Vec<_> = costs.iter().filter(|(_, cost)| **cost > bound).collect();
        assert!(dear.is_empty(), "with {rows} rows: {dear:?}");
    }
}

/// What PostgreSQL refuses is refused alike: by class, by SQLSTATE and in what is known of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_refused_alike_over_both_transports() {
    let stack: Stack = super::direct::databases().await;
    suite::sql(&stack, twin::RAISE).await.unwrap();
    let twin = Twin::start(&stack).await;
    twin.refusals().await;
    twin.raised().await;
    stack.stop().await.unwrap();
}
