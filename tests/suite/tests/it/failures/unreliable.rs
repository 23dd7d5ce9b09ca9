//! Messages lost in a repetition, late, early, at the same time; calls whose outcome nobody knows.

use std::time::Duration;

use futures::future::join_all;
use local::{
    RegistryChoice, Stack, StackOptions,
    local_data_api::{self, Fault, When},
    local_registry::{Effect, Operation, Point, Rule, Status, StepTime, storage::verify},
};
use reqwest::StatusCode;
use suite::{
    WHOLE, given, history, options, primary, push_image, repositories, row, stack, until, until_state,
};
use uuid::Uuid;

fn applied(history: &[String]) -> Vec<&str> {
    history.iter().map(String::as_str).filter(|line| !line.ends_with(')')).collect()
}

async fn migrated_in_spite_of(effect: Effect) -> (Stack, Vec<String>) {
    let stack = stack().await.unwrap();
    repositories(&stack, &["group/image"]).await.unwrap();
    stack.registry().unwrap().rules().add(Rule::new(effect));
    let answer = stack.client().start("group/image").await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    until_state(&stack, "group/image", "import_done").await.unwrap();
    assert!(stack.registry().unwrap().wait_until_idle(suite::PATIENCE).await);
    let (old, new) = (stack.old_storage().unwrap(), stack.registry().unwrap().new_storage());
    verify(&old, &new, "group/image").unwrap();
    let history = history(&stack, "group/image").await.unwrap();
    assert_eq!(applied(&history), WHOLE);
    (stack, history)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_sent_again_and_again_is_applied_once() {
    let (stack, history) =
        migrated_in_spite_of(Effect::RepeatNotification { extra: 3, concurrently: false }).await;
    let ignored = history.iter().filter(|line| line.ends_with(')')).count();
    assert_eq!(ignored, 6, "{history:?}");
    assert!(stack.registry().unwrap().journal().notifications().iter().all(|sent| sent.is_accepted()));
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_that_arrives_before_the_202_is_applied() {
    let (stack, _) = migrated_in_spite_of(Effect::NotifyBeforeAccepted).await;
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_without_or_with_a_made_up_id_is_applied() {
    for effect in [Effect::DropRequestId, Effect::ReplaceRequestId { id: Uuid::new_v4().to_string() }] {
        let (stack, _) = migrated_in_spite_of(effect).await;
        stack.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_later_than_the_next_attempt_is_ignored() {
    let stack = stack().await.unwrap();
    push_image(&stack.old_storage().unwrap(), "group/image").unwrap();
    stack.registry().unwrap().rules().add(Rule::new(Effect::LoseNotification));
    let earlier = Uuid::new_v4();
    given(&stack, "group/image", "importing", Some(earlier)).await.unwrap();
    let earlier = earlier.to_string();
    let failed = stack.client().notify("group/image", "import_failed", Some(&earlier)).await.unwrap();
    assert_eq!(failed.status(), StatusCode::OK);
    stack.functions().tick().await.unwrap();
    // The registry is asked last, and its notification is lost: from then on the row stays as it is.
    let registry = stack.registry().unwrap();
    assert!(registry.wait_for_status("group/image", Status::PreImportComplete, suite::PATIENCE).await);
    let retried = row(&stack, "group/image").await.unwrap();

    let late = stack.client().notify("group/image", "import_failed", Some(&earlier)).await.unwrap();

    assert_eq!(late.status(), StatusCode::OK);
    let after = row(&stack, "group/image").await.unwrap();
    assert_eq!(
        (&after["version"], &after["retries_count"]),
        (&retried["version"], &retried["retries_count"])
    );
    assert!(history(&stack, "group/image").await.unwrap().last().unwrap().ends_with("(earlier_attempt)"));
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_one_transition_after_many_copies_at_once() {
    let stack = stack().await.unwrap();
    given(&stack, "group/image", "pre_importing", None).await.unwrap();
    // Or the repository would be started again between two of them.
    suite::sql(&stack, "UPDATE migration_settings SET capacity = 0").await.unwrap();
    let client = stack.client();
    let answers = join_all((0..8).map(|_| client.notify("group/image", "pre_import_failed", None))).await;
    let mut statuses: Vec<u16> =
        answers.into_iter().map(|answer| answer.unwrap().status().as_u16()).collect();
    statuses.sort_unstable();
    // Without an id nothing tells a repetition from a mistake: the state does.
    assert_eq!(statuses[0], 200);
    assert_eq!(statuses[1..], [400; 7]);
    assert_eq!(row(&stack, "group/image").await.unwrap()["retries_count"], 1);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn resends_an_unknown_write_without_making_it_twice() {
    let stack = stack().await.unwrap();
    repositories(&stack, &["group/image"]).await.unwrap();
    let ran = local_data_api::Effect::Cut { when: When::After };
    let not_run = local_data_api::Effect::Cut { when: When::Before };
    for effect in [ran, not_run] {
        for part in [":precondition = 'notification'", "named AS MATERIALIZED"] {
            stack.data_api().inject(Fault::new(effect.clone()).sql_contains(part).times(1));
        }
    }
    let answer = stack.client().start("group/image").await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    until_state(&stack, "group/image", "import_done").await.unwrap();
    assert_eq!(history(&stack, "group/image").await.unwrap(), WHOLE);
    let faults = stack
        .data_api()
        .journal()
        .iter()
        .filter(|call| call.outcome.as_ref().is_some_and(|o| o.fault))
        .count();
    assert_eq!(faults, 4, "every fault was met");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_whose_outcome_is_unknown_starts_one_repository() {
    let stack = stack().await.unwrap();
    repositories(&stack, &["group/a", "group/b"]).await.unwrap();
    suite::sql(&stack, "UPDATE migration_settings SET capacity = 1").await.unwrap();
    stack.registry().unwrap().rules().add(Rule::new(Effect::Hold { at: Point::Work }));
    let effect = local_data_api::Effect::Cut { when: When::After };
    stack.data_api().inject(Fault::new(effect).sql_contains("FOR UPDATE OF s SKIP LOCKED").times(1));
    let summary = stack.functions().tick().await.unwrap();
    assert_eq!(
        summary,
        serde_json::json!({"resumed": 0, "held": 0, "started": 1, "skipped": 0, "ended": "no_slot"})
    );
    let starts = stack.registry().unwrap().journal().requests();
    assert_eq!(starts.iter().filter(|request| request.operation == Operation::Start).count(), 1);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_503_while_the_writer_is_down() {
    let stack = stack().await.unwrap();
    given(&stack, "group/image", "pre_importing", None).await.unwrap();
    let before = row(&stack, "group/image").await.unwrap();
    stack.pair().stop_writer().await.unwrap();
    let answer = stack.client().notify("group/image", "pre_import_complete", None).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    stack.pair().start_writer().await.unwrap();
    assert_eq!(row(&stack, "group/image").await.unwrap(), before);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn finishes_twenty_with_room_for_one_import() {
    let registry = RegistryChoice::Local {
        old_storage: None,
        new_storage: None,
        max_concurrent_imports: 1,
        step_time: StepTime::default(),
    };
    let stack = Stack::start(StackOptions { registry, ..options() }).await.unwrap();
    let paths: Vec<String> = (0..20).map(|number| format!("group/image{number}")).collect();
    repositories(&stack, &paths.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    let ticker = stack.tick_every(Duration::from_millis(500));
    let client = primary(&stack).await.unwrap();
    let done = || async {
        let query = "SELECT count(*) FROM container_repositories WHERE migration_state = 'import_done'";
        Ok(client.query_one(query, &[]).await?.get::<_, i64>(0) == 20)
    };
    let mut left = 6;
    while let Err(error) = until("all twenty are done", done).await {
        left -= 1;
        assert!(left > 0, "{error}");
    }
    drop(ticker);
    let counted =
        "SELECT count(*) FROM container_repositories WHERE retries_count > 0 OR skipped_reason IS NOT NULL";
    assert_eq!(client.query_one(counted, &[]).await.unwrap().get::<_, i64>(0), 0);
    let failed = "SELECT count(*) FROM migration_transitions WHERE event LIKE 'abort%' OR event LIKE 'skip%'";
    assert_eq!(client.query_one(failed, &[]).await.unwrap().get::<_, i64>(0), 0);
    let (old, new) = (stack.old_storage().unwrap(), stack.registry().unwrap().new_storage());
    for path in &paths {
        verify(&old, &new, path).unwrap();
    }
    stack.stop().await.unwrap();
}
