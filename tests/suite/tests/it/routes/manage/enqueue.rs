//! Which repository is started next, and which is not.

use std::time::Duration;

use local::{
    Function, Stack,
    local_registry::{Effect, Operation, Point, Rule, Step},
};
use serde_json::{Value, json};
use shared::{
    endpoint::Claim,
    migration::AttemptId,
    store::{Claimed, Store},
};
use suite::{
    given, history, repositories, row, sql, state, until, until_freed_slots_are_dealt_with, until_state,
    writer,
};
use tokio::time::Instant;
use uuid::Uuid;

use super::{stack, sweep};

/// Claims until nothing is due: the paths in the order they come.
async fn claimed(stack: &Stack) -> Vec<String> {
    let store = Store::<Claim>::new(writer(stack));
    let mut paths = Vec::new();
    loop {
        let deadline = Instant::now() + Duration::from_secs(20);
        match store.claim_next(AttemptId::new(Uuid::new_v4()), deadline).await.unwrap() {
            Claimed::Started(row) => paths.push(row.path.to_string()),
            Claimed::NoneDue => return paths,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_retries_then_priority_then_age() {
    let stack = stack().await;
    for path in ["a/retry", "a/later-retry"] {
        given(&stack, path, "import_aborted", None).await.unwrap();
    }
    sql(
        &stack,
        "UPDATE container_repositories SET not_before = now() + interval '1 hour' WHERE path = 'a/later-retry';
        INSERT INTO container_repositories (path, priority, created_at, not_before) VALUES
            ('a/old', 0, now() - interval '3 days', NULL),
            ('a/young', 0, now() - interval '1 day', NULL),
            ('a/waited', 0, now() - interval '2 days', now() - interval '1 second'),
            ('a/urgent', 9, now(), NULL),
            ('a/waited-urgent', 5, now(), now() - interval '1 second'),
            ('a/waits', 99, now() - interval '9 days', now() + interval '1 hour')",
    )
    .await
    .unwrap();

    let order = claimed(&stack).await;

    assert_eq!(order, ["a/retry", "a/urgent", "a/waited-urgent", "a/old", "a/waited", "a/young"]);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_over_what_the_settings_leave_out() {
    let stack = stack().await;
    sql(
        &stack,
        "INSERT INTO container_repositories (path, plan, priority, created_at, not_before)
        SELECT 'denied/' || n, 'free', 5, now() - interval '9 days', CASE WHEN n % 2 = 0 THEN now() END
        FROM generate_series(1, 500) AS n;
        INSERT INTO container_repositories (path, plan, created_at, not_before) VALUES
            ('good/free', 'free', now() - interval '2 days', NULL),
            ('good/premium', 'premium', now() - interval '3 days', NULL),
            ('good/waited', 'premium', now() - interval '1 day', now()),
            ('good/gold', 'gold', now() - interval '4 days', NULL),
            ('good/gold-waited', 'gold', now() - interval '4 days', now()),
            ('good/none', NULL, now() - interval '4 days', NULL),
            ('denied-not/free', 'free', now() - interval '1 hour', NULL),
            ('young/free', 'free', now() + interval '1 hour', NULL);
        UPDATE migration_settings SET target_plans = '{free,premium}', denied_root_namespaces = '{denied}',
            created_before = now() + interval '1 minute'",
    )
    .await
    .unwrap();

    assert_eq!(claimed(&stack).await, ["good/premium", "good/free", "good/waited", "denied-not/free"]);

    sql(&stack, "UPDATE migration_settings SET target_plans = '{}', created_before = NULL").await.unwrap();
    assert_eq!(claimed(&stack).await, ["good/gold", "good/gold-waited", "good/none", "young/free"]);
    for path in ["denied/1", "denied/2"] {
        assert_eq!(history(&stack, path).await.unwrap(), Vec::<String>::new());
        assert_eq!(state(&stack, path).await.unwrap(), "default");
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn skips_too_many_tags_unless_it_has_begun() {
    let stack = stack().await;
    repositories(&stack, &["good/few", "good/unknown", "good/begun"]).await.unwrap();
    sql(
        &stack,
        "UPDATE container_repositories SET tags_count = 10 WHERE path = 'good/few';
        UPDATE container_repositories SET tags_count = 999, migration_state = 'import_aborted', aborted_at = now(),
            aborted_in_state = 'pre_importing' WHERE path = 'good/begun';
        INSERT INTO container_repositories (path, tags_count, plan) VALUES
            ('good/many', 11, 'free'), ('denied/many', 11, 'free');
        INSERT INTO container_repositories (path, tags_count)
        SELECT 'good/more' || n, 100 FROM generate_series(1, 600) AS n;
        UPDATE migration_settings SET max_tags_count = 10, denied_root_namespaces = '{denied}'",
    )
    .await
    .unwrap();

    // Or what ends first would have the next one started in its place.
    let rules = stack.registry().unwrap().rules();
    let hold = rules.add(Rule::new(Effect::Hold { at: Point::Notification }));

    let reply = sweep(&stack).await;

    assert!(rules.remove(hold));
    assert_eq!(
        (&reply["skipped"], &reply["started"], &reply["ended"]),
        (&json!(601), &json!(3), &json!("none_due")),
        "{reply}"
    );
    let many = row(&stack, "good/many").await.unwrap();
    assert_eq!((&many["migration_state"], &many["skipped_reason"]), (&json!("import_skipped"), &json!(2)));
    assert_eq!((suite::changes(&many), many["skipped_at"].is_string()), (1, true));
    assert_eq!(history(&stack, "good/many").await.unwrap(), ["skip_import default>import_skipped"]);
    assert_eq!(state(&stack, "denied/many").await.unwrap(), "default", "not eligible");
    for path in ["good/few", "good/unknown", "good/begun"] {
        until_state(&stack, path, "import_done").await.unwrap();
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_tags_are_not_started_by_a_freed_slot_either() {
    let stack = stack().await;
    sql(
        &stack,
        "INSERT INTO container_repositories (path, tags_count, not_before) VALUES
            ('good/many', 11, NULL), ('good/waited', 11, now());
        UPDATE migration_settings SET max_tags_count = 10",
    )
    .await
    .unwrap();
    assert_eq!(claimed(&stack).await, Vec::<String>::new());
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_a_slot_empty_for_the_waiting_time() {
    let stack = stack().await;
    repositories(&stack, &["group/first", "group/second"]).await.unwrap();
    sql(&stack, "UPDATE migration_settings SET capacity = 1, waiting_time_seconds = 3600").await.unwrap();
    assert_eq!(stack.client().start("group/first").await.unwrap().status().as_u16(), 202);
    until_state(&stack, "group/first", "import_done").await.unwrap();
    until_freed_slots_are_dealt_with(&stack, Function::RegistryNotification, 1).await.unwrap();

    assert_eq!(
        sweep(&stack).await,
        json!({"resumed": 0, "held": 0, "started": 0, "skipped": 0, "ended": "slot_waits"})
    );
    assert_eq!(state(&stack, "group/second").await.unwrap(), "default", "the chain waits as well");

    sql(&stack, "UPDATE migration_slots SET freed_at = freed_at - interval '1 hour'").await.unwrap();
    assert_eq!(sweep(&stack).await["started"], 1);
    until_state(&stack, "group/second", "import_done").await.unwrap();
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_in_no_slot_after_a_refused_start() {
    let stack = stack().await;
    repositories(&stack, &["group/image"]).await.unwrap();
    sql(&stack, "UPDATE migration_settings SET capacity = 1, waiting_time_seconds = 3600").await.unwrap();
    stack.registry().unwrap().set_max_concurrent_imports(0);
    assert_eq!(sweep(&stack).await["ended"], "registry_unavailable");
    stack.registry().unwrap().set_max_concurrent_imports(5);
    sql(&stack, "UPDATE container_repositories SET not_before = now()").await.unwrap();
    assert_eq!(sweep(&stack).await["ended"], "registry_full");
    suite::release_the_brake(&stack).await.unwrap();

    let reply: Value = sweep(&stack).await;

    assert_eq!(reply["started"], 1, "{reply}");
    until_state(&stack, "group/image", "import_done").await.unwrap();
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn asks_the_registry_for_several_at_once() {
    let stack = stack().await;
    let registry = stack.registry().unwrap();
    let paths = ["group/a", "group/b", "group/c", "group/d"];
    // The first is answered at once, the others not before they are let go. Nothing ends before, whose slot would
    // be filled by somebody else than the sweep.
    registry.rules().add(Rule::new(Effect::Hold { at: Point::Notification }).repository(paths[0]));
    for path in &paths[1..] {
        for effect in [Effect::NotifyBeforeAccepted, Effect::Hold { at: Point::Work }] {
            registry.rules().add(Rule::new(effect).repository(path).step(Step::Pre));
        }
    }
    repositories(&stack, &paths).await.unwrap();
    let two_wait = || async {
        let requests = registry.journal().requests();
        let starts = requests.iter().filter(|request| request.operation == Operation::Start);
        Ok(starts.filter(|request| request.step == Some(Step::Pre) && request.ended.is_none()).count() >= 2)
    };
    let let_go = async {
        let waiting = until("two starts wait for their answers", two_wait).await;
        registry.rules().clear();
        waiting.unwrap();
    };

    let (reply, ()) = futures::join!(sweep(&stack), let_go);

    // The last one may by then have been started in the place of the first.
    assert_eq!(reply["ended"], "none_due", "{reply}");
    for path in paths {
        until_state(&stack, path, "import_done").await.unwrap();
    }
    stack.stop().await.unwrap();
}
