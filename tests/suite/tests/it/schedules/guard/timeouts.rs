//! Steps that take too long.

use local::{
    Environment, Function,
    local_data_api::Fault,
    local_registry::{Effect, Journal, Operation, Point, Rule, Status, Step, When},
};
use serde_json::json;
use suite::{PATIENCE, history, repositories, row, sql, state, until, until_state};

use super::{found, guard, just, minutes_pass, retries, stack, start};

#[tokio::test(flavor = "multi_thread")]
async fn a_running_step_is_left_alone_and_canceled_only_past_its_time() {
    let stack = stack().await;
    repositories(&stack, &["group/slow", "group/last", "group/many-tags"]).await.unwrap();
    let registry = stack.registry().unwrap();
    registry.rules().add(Rule::new(Effect::Hold { at: Point::Work }).step(Step::Pre));
    let echoes = registry.rules().add(Rule::new(Effect::Hold { at: Point::Notification }));
    sql(
        &stack,
        "UPDATE container_repositories SET retries_count = 2 WHERE path = 'group/last';
        UPDATE container_repositories SET tags_count = 100000 WHERE path = 'group/many-tags';",
    )
    .await
    .unwrap();
    for path in ["group/slow", "group/last", "group/many-tags"] {
        start(&stack, path).await;
    }
    minutes_pass(&stack, 25).await;
    assert_eq!(found(&guard(&stack).await), just("running", 3));
    let cancelations = || {
        let requests = registry.journal().requests().into_iter();
        requests.filter(|request| request.operation == Operation::Cancel).count()
    };
    assert_eq!(cancelations(), 0);

    minutes_pass(&stack, 10).await;
    let summary = guard(&stack).await;

    assert_eq!(found(&summary), [("running".to_owned(), 1), ("timed_out".to_owned(), 2)].into());
    assert_eq!(cancelations(), 2);
    let slow = row(&stack, "group/slow").await.unwrap();
    assert_eq!((&slow["migration_state"], &slow["retries_count"]), (&json!("import_aborted"), &json!(1)));
    assert_eq!((&slow["detail"], &slow["slot"]), (&json!("canceled past its time"), &json!(null)));
    let last = row(&stack, "group/last").await.unwrap();
    assert_eq!((&last["migration_state"], &last["skipped_reason"]), (&json!("import_skipped"), &json!(4)));
    assert_eq!(state(&stack, "group/many-tags").await.unwrap(), "pre_importing");

    // The echo of our own cancelation comes when the import notices it, and changes nothing any more.
    assert!(registry.rules().remove(echoes));
    let echo = "pre_import_canceled import_aborted>import_aborted (already_over)".to_owned();
    until("the echo has come", || async { Ok(history(&stack, "group/slow").await?.contains(&echo)) })
        .await
        .unwrap();
    assert_eq!(row(&stack, "group/slow").await.unwrap(), slow);
    let taken = |journal: &Journal| {
        let sent = journal.notifications();
        sent.len() == 2 && sent.iter().all(|sent| sent.is_accepted())
    };
    assert!(registry.journal().wait_until(PATIENCE, taken).await);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_a_step_past_its_time_that_makes_progress() {
    let stack = stack().await;
    repositories(&stack, &["group/copies", "group/stands-still"]).await.unwrap();
    let registry = stack.registry().unwrap();
    registry.rules().add(Rule::new(Effect::Hold { at: Point::Work }).step(Step::Pre));
    for (path, idle) in [("group/copies", 300), ("group/stands-still", 301)] {
        start(&stack, path).await;
        let body =
            json!({"name": "n", "path": path, "status": "pre_import_in_progress", "idle_seconds": idle});
        let said = Effect::Answer {
            status: 200,
            code: None,
            detail: None,
            body: Some(body.to_string()),
            when: When::Before,
        };
        registry.rules().add(Rule::new(said).operation(Operation::Status).repository(path));
    }
    minutes_pass(&stack, 180).await;

    let summary = guard(&stack).await;

    assert_eq!(found(&summary), [("running".to_owned(), 1), ("timed_out".to_owned(), 1)].into());
    assert_eq!(state(&stack, "group/copies").await.unwrap(), "pre_importing");
    assert_eq!(retries(&stack, "group/copies").await, 0);
    assert_eq!(state(&stack, "group/stands-still").await.unwrap(), "import_aborted");
    assert_eq!(retries(&stack, "group/stands-still").await, 1);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_slot_of_a_step_that_was_canceled_is_filled_at_once() {
    let stack = stack().await;
    sql(&stack, "UPDATE migration_settings SET capacity = 1").await.unwrap();
    repositories(&stack, &["group/slow", "group/next"]).await.unwrap();
    // A notification that is faster would fill the slot itself.
    for at in [Point::Work, Point::Notification] {
        stack.registry().unwrap().rules().add(Rule::new(Effect::Hold { at }).repository("group/slow"));
    }
    start(&stack, "group/slow").await;
    minutes_pass(&stack, 31).await;

    assert_eq!(guard(&stack).await["filled"], 1);

    until_state(&stack, "group/next", "import_done").await.unwrap();
    stack.stop().await.unwrap();
}

/// The registry is asked once how `group/image` stands, and says how it stood before.
fn a_moment_before(status: &str) -> Rule {
    let body = json!({"name": "image", "path": "group/image", "status": status, "detail": "x"});
    let was = Effect::Answer {
        status: 200,
        code: None,
        detail: None,
        body: Some(body.to_string()),
        when: When::Before,
    };
    Rule::new(was).operation(Operation::Status).times(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_before_it_could_be_canceled_is_taken_as_it_ended() {
    let stack = stack().await;
    repositories(&stack, &["group/image"]).await.unwrap();
    let registry = stack.registry().unwrap();
    registry.rules().add(Rule::new(Effect::LoseNotification).step(Step::Final));
    start(&stack, "group/image").await;
    assert!(registry.wait_for_status("group/image", Status::ImportComplete, PATIENCE).await);
    registry.rules().add(a_moment_before("import_in_progress"));
    minutes_pass(&stack, 11).await;

    assert_eq!(found(&guard(&stack).await), just("finished", 1));

    let canceled =
        registry.journal().requests().into_iter().find(|request| request.operation == Operation::Cancel);
    assert_eq!(canceled.unwrap().error_code.as_deref(), Some("IMPORT_CANNOT_BE_CANCELED"));
    assert_eq!(state(&stack, "group/image").await.unwrap(), "import_done");
    assert_eq!(retries(&stack, "group/image").await, 0);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_a_timeout_notified_before_it_was_recorded() {
    let stack = stack().await;
    repositories(&stack, &["group/slow", "group/last"]).await.unwrap();
    let last = "UPDATE container_repositories SET retries_count = 2 WHERE path = 'group/last'";
    sql(&stack, last).await.unwrap();
    stack.registry().unwrap().rules().add(Rule::new(Effect::Hold { at: Point::Work }));
    for path in ["group/slow", "group/last"] {
        start(&stack, path).await;
    }
    minutes_pass(&stack, 31).await;
    // The guard's way to the database is its own, and takes no record until the notifications have come.
    let way = stack.further_data_api().await.unwrap();
    way.inject(Fault::resuming(u32::MAX).sql_contains("planned AS MATERIALIZED"));
    let its_own = |_, environment: &mut Environment| {
        environment.insert("AWS_ENDPOINT_URL_RDS_DATA".to_owned(), way.url());
    };
    let guards = stack.run_functions(&[Function::GuardMigrations], its_own).await.unwrap();
    let are_faster = async {
        until_state(&stack, "group/slow", "import_aborted").await.unwrap();
        until_state(&stack, "group/last", "import_skipped").await.unwrap();
        way.clear_faults();
    };

    let (summary, ()) = tokio::join!(guards.invoke_on_schedule(Function::GuardMigrations), are_faster);

    assert_eq!(summary.unwrap()["moved_on"], 2);
    let slow = row(&stack, "group/slow").await.unwrap();
    assert_eq!((&slow["retries_count"], &slow["slot"]), (&json!(1), &json!(null)));
    let last = row(&stack, "group/last").await.unwrap();
    assert_eq!((&last["retries_count"], &last["skipped_reason"]), (&json!(3), &json!(4)));
    let expected = [
        "start_pre_import default>pre_importing",
        "cancel pre_importing>pre_importing (canceling)",
        "abort_import pre_importing>import_aborted",
    ];
    assert_eq!(history(&stack, "group/slow").await.unwrap(), expected);
    guards.stop();
    way.stop().await;
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_no_cancelation_of_somebody_else() {
    let stack = stack().await;
    repositories(&stack, &["group/image"]).await.unwrap();
    let registry = stack.registry().unwrap();
    registry.rules().add(Rule::new(Effect::LoseNotification).step(Step::Pre));
    registry.rules().add(Rule::new(Effect::Cancel).step(Step::Final));
    start(&stack, "group/image").await;
    assert!(registry.wait_for_status("group/image", Status::PreImportComplete, PATIENCE).await);
    registry.rules().add(a_moment_before("pre_import_in_progress"));
    minutes_pass(&stack, 31).await;

    assert_eq!(found(&guard(&stack).await), just("promoted", 1));

    until_state(&stack, "group/image", "import_aborted").await.unwrap();
    let noted = "cancel pre_importing>pre_importing (canceling)".to_owned();
    assert!(history(&stack, "group/image").await.unwrap().contains(&noted));
    assert_eq!(retries(&stack, "group/image").await, 0);
    stack.stop().await.unwrap();
}
