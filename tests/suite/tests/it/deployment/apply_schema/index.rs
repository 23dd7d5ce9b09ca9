//! Indexes that are made while their table goes on being used.

use std::time::Duration;

use local::{
    DATABASE,
    local_data_api::{Effect, Fault, When},
};
use shared::store::schema::{Script, scripts};

use super::bench::{Bench, in_time, roles};

const STATE: &str =
    "SELECT coalesce((SELECT CASE WHEN indisvalid THEN 'valid' ELSE 'broken' END FROM pg_index
    WHERE indexrelid = to_regclass('container_repositories_colour')), 'none')";

fn with_an_index() -> Vec<Script> {
    let mut all = scripts();
    all.push(Script {
        number: u16::try_from(all.len() + 1).unwrap(),
        name: "9999_index",
        sql: "CREATE INDEX CONCURRENTLY container_repositories_colour ON public.container_repositories (plan);",
    });
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn makes_an_index_that_was_begun_and_not_ended() {
    let bench = Bench::start().await;
    bench.apply(DATABASE, &scripts()).await.unwrap();
    // What is left of one that fails in the middle: two rows of one value.
    bench.sql("INSERT INTO container_repositories (path, plan) VALUES ('a/a', 'x'), ('a/b', 'x')").await;
    let unique =
        "CREATE UNIQUE INDEX CONCURRENTLY container_repositories_colour ON container_repositories (plan)";
    bench.login(local::OWNER_ROLE, "", DATABASE).await.unwrap().batch_execute(unique).await.unwrap_err();
    assert_eq!(bench.ask(DATABASE, STATE).await, "broken");

    assert_eq!(bench.apply(DATABASE, &with_an_index()).await.unwrap().applied, ["9999_index"]);
    assert_eq!(bench.ask(DATABASE, STATE).await, "valid");
    assert_eq!(bench.apply(DATABASE, &with_an_index()).await.unwrap().applied, [""; 0]);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn finds_an_index_whose_making_nobody_was_told_of() {
    let bench = Bench::start().await;
    bench.apply(DATABASE, &scripts()).await.unwrap();
    let unknown = |when| Fault::new(Effect::Cut { when }).sql_contains("CREATE INDEX CONCURRENTLY").times(1);
    for when in [When::After, When::Before] {
        bench.api.inject(unknown(when));
        assert_eq!(bench.apply(DATABASE, &with_an_index()).await.unwrap().applied, ["9999_index"]);
        assert_eq!(bench.ask(DATABASE, STATE).await, "valid");
        bench.sql("DROP INDEX container_repositories_colour; DELETE FROM schema_versions WHERE name = '9999_index'").await;
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_for_an_index_that_is_made_and_says_for_whom() {
    let bench = Bench::start().await;
    bench.apply(DATABASE, &scripts()).await.unwrap();
    // An index waits for whoever has changed rows of the table.
    let writer = bench.login("postgres", "", DATABASE).await.unwrap();
    writer.batch_execute("BEGIN; INSERT INTO container_repositories (path) VALUES ('a/a')").await.unwrap();
    let process: i32 = writer.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let (next, roles) = (with_an_index(), roles("driver-1", "reader-1"));
    let store = bench.store(DATABASE);
    // The call is given up, and the database goes on.
    let is_made = suite::until("the index is made", || async {
        Ok(bench.ask(DATABASE, "SELECT count(*)::text FROM pg_stat_progress_create_index").await == "1")
    });
    tokio::select! {
        applied = store.apply(&next, 0, &roles, in_time(Duration::from_secs(60))) => panic!("{applied:?}"),
        made = is_made => made.unwrap(),
    }

    let words = store.apply(&next, 0, &roles, in_time(Duration::from_secs(5))).await.unwrap_err().to_string();
    assert!(words.starts_with("script 9999_index, statement 1 of 1: "), "{words}");
    assert!(
        words.contains(&format!("makes it, and waits for process {process}, user postgres, ")),
        "{words}"
    );

    let ends = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        writer.batch_execute("COMMIT").await.unwrap();
    };
    let (applied, ()) = tokio::join!(store.apply(&next, 0, &roles, in_time(Duration::from_secs(60))), ends);
    assert_eq!(applied.unwrap().applied, ["9999_index"]);
    assert_eq!(bench.ask(DATABASE, STATE).await, "valid");
    bench.stop().await;
}
