//! What observe-migrations says: the numbers of a database that is known, and of endpoints that do not answer.

use std::time::Duration;

use local::{Function, Stack, StackOptions};
use observe_migrations::metrics::METRICS;
use serde_json::{Value, json};
use shared::{
    endpoint::{Observe, WriterStatus},
    store::{HEALTH_PROBE, Store},
};
use suite::{endpoints, heartbeat_of_an_hour_ago, options, primary, read_only_writer, sql};
use tokio::time::Instant;

use super::{
    about,
    emf::{Metrics, metrics},
    known,
};

async fn stack() -> Stack {
    let functions = vec![Function::ObserveMigrations];
    Stack::start(StackOptions { functions, instances: 1, log_level: "error".to_owned(), ..options() })
        .await
        .unwrap()
}

/// One run, and the metrics that it wrote.
async fn observe(stack: &Stack) -> (Value, Metrics) {
    let before = stack.functions().log(Function::ObserveMigrations).len();
    let reply = stack.functions().invoke_on_schedule(Function::ObserveMigrations).await.unwrap();
    (reply, metrics(&stack.functions().log(Function::ObserveMigrations)[before..]))
}

fn metric(metrics: &Metrics, name: &str, dimension: &str) -> Option<f64> {
    metrics.get(&(name.to_owned(), dimension.to_owned())).copied()
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_metrics_that_match_the_database() {
    let stack = stack().await;
    known(&stack).await;

    let (reply, metrics) = observe(&stack).await;

    let value = |name: &str, dimension: &str| metric(&metrics, name, dimension);
    for (state, count) in
        [("default", 4.0), ("pre_importing", 3.0), ("pre_import_done", 2.0), ("importing", 1.0)]
    {
        assert_eq!(value("Repositories", state), Some(count), "{state}");
        about(&json!(value("OldestAge", state)), count * 3600.0);
    }
    for (state, count) in [("import_done", 5.0), ("import_aborted", 2.0), ("import_skipped", 3.0)] {
        assert_eq!(value("Repositories", state), Some(count), "{state}");
    }
    assert_eq!(value("Skipped", "too_many_retries"), Some(1.0));
    assert_eq!(value("Skipped", "too_many_tags"), Some(2.0));
    assert_eq!(value("Skipped", "not_in_plan"), Some(0.0));
    for (name, number) in [
        ("Observed", 1.0),
        ("ReaderFailed", 0.0),
        ("WriterFailed", 0.0),
        ("ReplicaLagOpen", 0.0),
        ("ReaderPastBound", 0.0),
        ("SlotsUsed", 6.0),
        ("Capacity", 9.0),
        ("BreakerOpen", 1.0),
        ("StartsHeldBack", 1.0),
        ("Retries", 5.0),
        ("TransitionsPerMinute", 2.0),
        ("Stuck", 3.0),
        ("Left", 12.0),
    ] {
        assert_eq!(value(name, ""), Some(number), "{name}");
    }
    about(&json!(value("OldestStuckAge", "")), 900.0);
    about(&json!(value("TimeLeft", "")), 6000.0);
    assert!(value("ReplicaLag", "").is_some());
    assert_eq!(
        (&reply["counted"]["served_by"], &reply["lag"]["measured"]),
        (&json!("reader"), &json!("seen"))
    );
    // Each metric there is was written, and no other.
    let mut names: Vec<&str> = metrics.keys().map(|(name, _)| name.as_str()).collect();
    names.dedup();
    let mut known: Vec<&str> = METRICS.iter().map(|metric| metric.0).collect();
    known.sort_unstable();
    assert_eq!(names, known);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_in_one_log_line_too() {
    let functions = vec![Function::ObserveMigrations];
    let stack = Stack::start(StackOptions { functions, instances: 1, ..options() }).await.unwrap();
    known(&stack).await;
    observe(&stack).await;
    let log = stack.functions().log(Function::ObserveMigrations);
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["message"] == "observed")
        .collect();
    let [line] = &lines[..] else { panic!("{lines:?}") };
    let states: Value = serde_json::from_str(line["states"].as_str().unwrap()).unwrap();
    assert_eq!(states["import_done"]["count"], 5);
    assert_eq!(line["skips"], r#"{"too_many_retries":1,"too_many_tags":2}"#);
    for (name, number) in [
        ("slots_used", 6),
        ("capacity", 9),
        ("retries", 5),
        ("transitions_per_minute", 2),
        ("stuck", 3),
        ("left", 12),
    ] {
        assert_eq!(line[name], number, "{name}: {line}");
    }
    about(&line["oldest_stuck_seconds"], 900.0);
    assert!(line["lag_ms"].as_u64().is_some() && line["reader_failed"] == false, "{line}");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn measures_the_lag_or_at_least_the_time_waited() {
    let stack = stack().await;
    // The first run of a process connects: not the lag.
    observe(&stack).await;
    stack.pair().set_lag(Duration::from_secs(4)).await.unwrap();
    let (reply, metrics) = observe(&stack).await;
    assert_eq!(
        (&reply["lag"]["measured"], metric(&metrics, "ReplicaLagOpen", "")),
        (&json!("seen"), Some(0.0))
    );
    // Less what the answer to the heartbeat's commit took: the replica waits from the commit on.
    let lag = metric(&metrics, "ReplicaLag", "").unwrap();
    assert!(lag > 2000.0, "{lag}");

    stack.pair().set_lag(Duration::ZERO).await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    let (_, metrics) = observe(&stack).await;
    let none = metric(&metrics, "ReplicaLag", "").unwrap();
    assert!(none < lag, "{none}");

    assert_eq!(metric(&metrics, "ReaderPastBound", ""), Some(0.0));

    stack.pair().pause_replay().await.unwrap();
    heartbeat_of_an_hour_ago(&stack).await.unwrap();
    let (reply, metrics) = observe(&stack).await;
    assert_eq!(
        (&reply["lag"]["measured"], metric(&metrics, "ReplicaLagOpen", "")),
        (&json!("not_seen"), Some(1.0))
    );
    assert_eq!((&reply["past_bound"], metric(&metrics, "ReaderPastBound", "")), (&json!(true), Some(1.0)));
    let paused = metric(&metrics, "ReplicaLag", "").unwrap();
    assert!(paused > 9_000.0, "{paused}");
    assert_eq!(metric(&metrics, "Observed", ""), Some(1.0), "what it has can be counted");
    stack.pair().resume_replay().await.unwrap();
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn remembers_heartbeats_as_long_as_a_bound_needs_them() {
    let stack = crate::reads::direct::databases().await;
    let older = "INSERT INTO replica_mark_times VALUES
        (-3, now() - interval '3 hours'), (-2, now() - interval '2 hours'), (-1, now() - interval '59 minutes')";
    sql(&stack, older).await.unwrap();
    let soon = || Instant::now() + Duration::from_secs(5);
    let store: Store<Observe> = Store::new(endpoints(&stack));
    let written = store.write_heartbeat(soon()).await.unwrap().unwrap();
    assert_eq!((written.heartbeat, written.overdue_heartbeat), (1, Some(-1)));
    let remembered = "SELECT array_agg(mark ORDER BY mark) FROM replica_mark_times";
    let remembered: Vec<i64> =
        primary(&stack).await.unwrap().query_one(remembered, &[]).await.unwrap().get(0);
    assert_eq!(remembered, [-2, -1, 1]);
    // Where there is no bound hints have one all the same.
    for (bound, overdue) in [(60, Some(-1)), (3600, Some(-2)), (0, Some(-1))] {
        sql(&stack, &format!("UPDATE migration_settings SET reader_lag_bound_seconds = {bound}"))
            .await
            .unwrap();
        let statement = HEALTH_PROBE.writer;
        let status: WriterStatus = read_only_writer(&stack).fetch(statement, soon()).await.unwrap().remove(0);
        let found = (status.rule.lag_is_bounded, status.rule.overdue_heartbeat);
        assert_eq!(found, (bound > 0, overdue), "{bound}");
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_a_dead_endpoint_without_failing_the_run() {
    let stack = stack().await;
    known(&stack).await;
    let failed = |metrics: &Metrics| {
        ["Observed", "ReaderFailed", "WriterFailed"].map(|name| metric(metrics, name, "").unwrap())
    };

    stack.pair().stop_writer().await.unwrap();
    let (reply, metrics) = observe(&stack).await;
    assert_eq!(failed(&metrics), [1.0, 0.0, 1.0]);
    assert_eq!((metric(&metrics, "ReplicaLag", ""), &reply["lag"]["measured"]), (None, &json!("unknown")));
    assert_eq!(
        (metric(&metrics, "Left", ""), &reply["counted"]["served_by"]),
        (Some(12.0), &json!("reader"))
    );

    stack.pair().stop_reader().await.unwrap();
    let (reply, metrics) = observe(&stack).await;
    assert_eq!((failed(&metrics), &reply["counted"]), ([0.0, 1.0, 1.0], &Value::Null));
    assert_eq!(metric(&metrics, "Left", ""), None, "nobody knows");

    stack.pair().start_writer().await.unwrap();
    let (reply, metrics) = observe(&stack).await;
    assert_eq!(failed(&metrics), [1.0, 1.0, 0.0]);
    assert_eq!((metric(&metrics, "ReplicaLag", ""), &reply["lag"]["measured"]), (None, &json!("unknown")));
    assert_eq!(
        (metric(&metrics, "Left", ""), &reply["counted"]["served_by"]),
        (Some(12.0), &json!("writer"))
    );
    assert_eq!(stack.functions().restarts(), 0);
    stack.stop().await.unwrap();
}
