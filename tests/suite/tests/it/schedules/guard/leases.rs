//! What a guard leases, releases, and what it costs to see that nothing is due.

use jiff::Timestamp;
use local::Stack;
use serde_json::Value;
use shared::{
    endpoint::{Claim, Guard, Notification, ONE_SENDING, StaleScan},
    migration::{AttemptId, NotificationStatus},
    store::{Lease, NextLook, Store},
};
use suite::{given, primary, reads, row, sql, writer};
use tokio::time::Instant;
use uuid::Uuid;

use super::due::{databases, forget_all, path, soon};

async fn due_at_once(stack: &Stack, name: &str) {
    given(stack, name, "pre_importing", None).await.unwrap();
    sql(stack, "UPDATE container_repositories SET next_check_at = now()").await.unwrap();
}

async fn next_check(stack: &Stack, name: &str) -> Value {
    row(stack, name).await.unwrap()["next_check_at"].clone()
}

/// Only who holds a lease can end it, and not past a change of the row.
async fn a_lease_is_ended_by_its_holder_alone(stack: &Stack) {
    let store: Store<Guard> = Store::new(writer(stack));
    let (one, other) = (Lease::random(), Lease::random());
    let names = ["group/left", "group/moved"].map(path);
    for name in ["group/left", "group/moved"] {
        due_at_once(stack, name).await;
    }
    assert_eq!(store.lease_stuck(&names, one, soon()).await.unwrap().len(), 2);
    assert!(store.lease_stuck(&names, other, soon()).await.unwrap().is_empty());
    let in_a_year: Timestamp = "2100-01-01T00:00:00Z".parse().unwrap();
    let looks = names.clone().map(|path| NextLook { path, next_check_at: Some(in_a_year) });
    assert!(store.release_stuck(&looks, other, soon()).await.unwrap().is_empty());

    let notifications: Store<Notification> = Store::new(writer(stack));
    let (status, id) = (NotificationStatus::PreImportComplete, AttemptId::new(Uuid::new_v4()));
    notifications.apply_notification(&names[1], status, None, None, id, soon()).await.unwrap().unwrap();
    let promoted = next_check(stack, "group/moved").await;
    assert_eq!(store.release_stuck(&looks, one, soon()).await.unwrap(), [names[0].clone()]);
    assert_eq!(next_check(stack, "group/moved").await, promoted, "the change says when to look");
    let later: Timestamp = serde_json::from_value(next_check(stack, "group/left").await).unwrap();
    assert_eq!(later, in_a_year);
    forget_all(stack).await;

    // What there was no time for is due still.
    due_at_once(stack, "group/left").await;
    store.lease_stuck(&names, one, soon()).await.unwrap();
    let looks = [NextLook { path: names[0].clone(), next_check_at: None }];
    store.release_stuck(&looks, one, soon()).await.unwrap();
    assert_eq!(store.lease_stuck(&names, other, soon()).await.unwrap().len(), 1);
    forget_all(stack).await;
}

/// Who waits for rows one after the other may wait for somebody who waits for his.
async fn no_row_is_waited_for(stack: &Stack) {
    let store: Store<Guard> = Store::new(writer(stack));
    let names = ["group/held", "group/free"].map(path);
    for name in ["group/held", "group/free"] {
        due_at_once(stack, name).await;
    }
    let lease = Lease::random();
    assert_eq!(store.lease_stuck(&names, lease, soon()).await.unwrap().len(), 2);
    let mut holder = primary(stack).await.unwrap();
    let transaction = holder.transaction().await.unwrap();
    transaction
        .execute("SELECT FROM container_repositories WHERE path = 'group/held' FOR UPDATE", &[])
        .await
        .unwrap();
    let looks = names.clone().map(|path| NextLook { path, next_check_at: None });
    // Less than a sending of it that waits would take.
    let promptly = Instant::now() + ONE_SENDING;
    assert_eq!(store.release_stuck(&looks, lease, promptly).await.unwrap(), [names[1].clone()]);
    assert_eq!(store.lease_stuck(&names, lease, Instant::now() + ONE_SENDING).await.unwrap().len(), 1);
    transaction.rollback().await.unwrap();
    forget_all(stack).await;
}

/// Whatever may be stored there.
async fn settings_at_their_limits_are_no_obstacle(stack: &Stack) {
    let names: Vec<String> = (0..8).map(|number| format!("group/image{number}")).collect();
    for name in &names {
        due_at_once(stack, name).await;
    }
    let limits = "UPDATE migration_settings SET
            denied_root_namespaces = ARRAY(SELECT lpad(n::text, 63, 'x') FROM generate_series(1, 960) AS n),
            target_plans = ARRAY(SELECT lpad(n::text, 63, 'y') FROM generate_series(1, 960) AS n),
            created_before = '9999-12-30T22:00:00.999999Z'";
    sql(stack, limits).await.unwrap();
    let store: Store<Guard> = Store::new(writer(stack));
    let paths: Vec<_> = names.iter().map(|name| path(name)).collect();
    assert_eq!(store.lease_stuck(&paths, Lease::random(), soon()).await.unwrap().len(), 8);
    let back = "UPDATE migration_settings SET denied_root_namespaces = '{}', target_plans = '{}', created_before = NULL";
    sql(stack, back).await.unwrap();
    forget_all(stack).await;
}

/// Nothing in progress and nothing that may be started.
async fn a_driver_is_idle_where_nothing_can_come_to_be_due(stack: &Stack) {
    let store: Store<Claim> = Store::new(writer(stack));
    for state in suite::STATES {
        given(stack, "group/image", state, None).await.unwrap();
        for (enabled, capacity) in [(true, 1), (true, 0), (false, 1)] {
            let set = format!("UPDATE migration_settings SET enabled = {enabled}, capacity = {capacity}");
            sql(stack, &set).await.unwrap();
            let busy = match state {
                "pre_importing" | "pre_import_done" | "importing" => true,
                "default" | "import_aborted" => enabled && capacity > 0,
                _ => false,
            };
            let idle = store.is_idle(soon()).await.unwrap();
            assert_eq!(idle, !busy, "{state}, enabled {enabled}, capacity {capacity}");
        }
        forget_all(stack).await;
        assert!(store.is_idle(soon()).await.unwrap());
    }
    sql(stack, "UPDATE migration_settings SET enabled = true, capacity = 1000").await.unwrap();
}

/// The blocks that a statement touches, the rows that it goes through, and its plan.
async fn touched(stack: &Stack, statement: &str) -> (u64, u64, Value) {
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}");
    let client = primary(stack).await.unwrap();
    // A connection's first reads the catalogue too.
    client.query_one(&explain, &[]).await.unwrap();
    let plan: Value = client.query_one(&explain, &[]).await.unwrap().get(0);
    let plan = &plan[0]["Plan"];
    let blocks = ["Shared Hit Blocks", "Shared Read Blocks"].map(|of| plan[of].as_u64().unwrap());
    (blocks.iter().sum(), rows_of(plan), plan.clone())
}

fn rows_of(plan: &Value) -> u64 {
    let number = |of: &str| plan[of].as_u64().unwrap_or_default();
    let here = (number("Actual Rows") + number("Rows Removed by Filter")) * number("Actual Loops");
    here + plan["Plans"].as_array().into_iter().flatten().map(rows_of).sum::<u64>()
}

/// A thousand are in progress, of ten thousand, and none is due.
async fn an_empty_round_is_one_index_probe(stack: &Stack) {
    let many = "INSERT INTO container_repositories (path) SELECT 'many/image' || n FROM generate_series(1, 10000) AS n;
        UPDATE container_repositories AS c SET migration_state = 'importing', slot = s.slot, import_started_at = now(),
            next_check_at = now() + s.slot * interval '1 minute'
        FROM migration_slots AS s WHERE c.path = 'many/image' || s.slot * 10;
        UPDATE migration_slots AS s SET repository_id = c.id FROM container_repositories AS c WHERE c.slot = s.slot";
    sql(stack, many).await.unwrap();
    // The settings too: what they were before would be gone through.
    sql(stack, "VACUUM ANALYZE container_repositories").await.unwrap();
    sql(stack, "VACUUM FULL migration_settings").await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    let scan: Store<StaleScan> = Store::new(reads(stack));
    // The first one asks how the endpoints stand, too.
    assert!(scan.scan_stuck(1000, None, soon()).await.unwrap().found.is_empty());
    stack.data_api().clear_journal();
    assert!(scan.scan_stuck(1000, None, soon()).await.unwrap().found.is_empty());
    let sent = stack.data_api().journal().pop().unwrap().sql.unwrap();
    let (blocks, rows, plan) = touched(stack, &sent.replace(":limit", "1000")).await;
    assert!(blocks <= 4 && rows <= 8, "{blocks} blocks, {rows} rows: {plan:#}");

    // As many as are due are gone through, and no others.
    sql(stack, "UPDATE container_repositories SET next_check_at = now() WHERE slot <= 3").await.unwrap();
    let (_, rows, plan) = touched(stack, &sent.replace(":limit", "1000")).await;
    assert!(rows <= 30, "{rows} rows: {plan:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_what_is_due_and_nothing_twice() {
    let stack = databases().await;
    a_lease_is_ended_by_its_holder_alone(&stack).await;
    no_row_is_waited_for(&stack).await;
    settings_at_their_limits_are_no_obstacle(&stack).await;
    a_driver_is_idle_where_nothing_can_come_to_be_due(&stack).await;
    an_empty_round_is_one_index_probe(&stack).await;
    stack.stop().await.unwrap();
}
