//! Repositories given up: what runs is canceled at the registry first.

use local::{
    Environment, Function, Stack,
    local_data_api::Fault,
    local_registry::{Effect, Operation, Point, Rule, RuleId, Status, Step},
};
use serde_json::{Value, json};
use suite::{PATIENCE, given, history, repositories, row, sql, state, until, until_state};
use uuid::Uuid;

use super::{post, stack, without_registry};

/// A repository whose pre step runs until it is canceled. That it was, the registry tells once the rule is removed
/// that is returned: not before the driver has recorded it.
async fn running(stack: &Stack, path: &str) -> RuleId {
    repositories(stack, &[path]).await.unwrap();
    let rules = stack.registry().unwrap().rules();
    let hold = |at| rules.add(Rule::new(Effect::Hold { at }).repository(path));
    let (_, notification) = (hold(Point::Work), hold(Point::Notification));
    assert_eq!(stack.client().start(path).await.unwrap().status().as_u16(), 202);
    notification
}

fn cancelations(stack: &Stack) -> usize {
    let requests = stack.registry().unwrap().journal().requests().into_iter();
    requests.filter(|request| request.operation == Operation::Cancel).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn cancels_a_running_step_and_fills_its_slot() {
    let stack = stack().await;
    sql(&stack, "UPDATE migration_settings SET capacity = 1").await.unwrap();
    let echoes = running(&stack, "group/image").await;
    repositories(&stack, &["group/next"]).await.unwrap();

    let (status, reply) = post(&stack, "/migrations/cancel/group/image", Value::Null).await;

    assert_eq!((status, &reply["migration_state"]), (200, &json!("import_skipped")), "{reply}");
    assert_eq!(reply["skipped_reason"], "migration_canceled");
    assert_eq!(cancelations(&stack), 1);
    until_state(&stack, "group/next", "import_done").await.unwrap();
    // The registry tells of the cancelation when the import notices it: recorded, and nothing else.
    assert!(stack.registry().unwrap().rules().remove(echoes));
    let echo = "pre_import_canceled import_skipped>import_skipped (already_over)".to_owned();
    until("the echo has come", || async { Ok(history(&stack, "group/image").await?.contains(&echo)) })
        .await
        .unwrap();
    let after = row(&stack, "group/image").await.unwrap();
    assert_eq!((&after["version"], &after["retries_count"]), (&reply["version"], &json!(0)));
    let sent = stack.registry().unwrap().journal().notifications();
    assert!(sent.iter().all(|notification| notification.is_accepted()), "{sent:?}");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn skips_by_force_what_the_registry_does_not_know() {
    let stack = stack().await;
    running(&stack, "group/image").await;
    given(&stack, "group/lost", "importing", Some(Uuid::new_v4())).await.unwrap();
    assert_eq!(post(&stack, "/migrations/cancel/group/lost", Value::Null).await.0, 409);
    for path in ["group/image", "group/lost"] {
        let (status, reply) =
            post(&stack, &format!("/migrations/cancel/{path}"), json!({"force": true})).await;
        assert_eq!(
            (status, &reply["skipped_reason"]),
            (200, &json!("migration_forced_canceled")),
            "{path}: {reply}"
        );
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_what_has_ended_at_the_registry() {
    let stack = stack().await;
    repositories(&stack, &["group/image"]).await.unwrap();
    let registry = stack.registry().unwrap();
    registry.rules().add(Rule::new(Effect::LoseNotification).step(Step::Pre));
    stack.client().start("group/image").await.unwrap();
    assert!(registry.wait_for_status("group/image", Status::PreImportComplete, PATIENCE).await);
    let before = row(&stack, "group/image").await.unwrap();

    for (path, body) in [
        ("/migrations/cancel/group/image", Value::Null),
        ("/migrations/skip/group/image", json!({"reason": "not_in_plan"})),
    ] {
        let (status, problem) = post(&stack, path, body).await;
        assert_eq!(
            (status, &problem["type"]),
            (409, &json!("urn:registry-migration:nothing-to-cancel")),
            "{path}"
        );
        assert_eq!(problem["registry_status"], "pre_import_complete", "{problem}");
    }
    assert_eq!(row(&stack, "group/image").await.unwrap(), before);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_does_not_answer_cancels_nothing() {
    let stack = stack().await;
    running(&stack, "group/image").await;
    let before = row(&stack, "group/image").await.unwrap();
    let cut_off = without_registry(&stack).await;

    let cancel =
        stack.client_of(&cut_off).as_operator(reqwest::Method::POST, "/migrations/cancel/group/image");
    let answer = cancel.send().await.unwrap();

    assert_eq!(answer.status().as_u16(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(row(&stack, "group/image").await.unwrap(), before);
    cut_off.stop();
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_the_same_when_the_notification_is_faster() {
    let stack = stack().await;
    running(&stack, "group/image").await;
    let attempt = row(&stack, "group/image").await.unwrap()["attempt"].as_str().unwrap().to_owned();
    // The operator's way to the database is its own, and takes no change until the notification has come.
    let way = stack.further_data_api().await.unwrap();
    way.inject(Fault::resuming(u32::MAX).sql_contains("planned AS MATERIALIZED"));
    let its_own = |_, environment: &mut Environment| {
        environment.insert("AWS_ENDPOINT_URL_RDS_DATA".to_owned(), way.url());
    };
    let manage = stack.run_functions(&[Function::ManageMigrations], its_own).await.unwrap();
    let is_faster = async {
        let records =
            || async { Ok(way.journal().iter().any(|call| call.outcome.as_ref().is_some_and(|o| o.fault))) };
        until("the cancelation is to be recorded", records).await.unwrap();
        let reply =
            stack.client().notify("group/image", "pre_import_canceled", Some(&attempt)).await.unwrap();
        assert_eq!(reply.status(), 200);
        way.clear_faults();
    };
    let cancel =
        stack.client_of(&manage).as_operator(reqwest::Method::POST, "/migrations/cancel/group/image").send();

    let (answer, ()) = tokio::join!(cancel, is_faster);

    let answer = answer.unwrap();
    let status = answer.status().as_u16();
    let reply: Value = answer.json().await.unwrap();
    assert_eq!((status, &reply["skipped_reason"]), (200, &json!("migration_canceled")), "{reply}");
    let lines = history(&stack, "group/image").await.unwrap();
    let expected = [
        "start_pre_import default>pre_importing",
        "cancel pre_importing>pre_importing (canceling)",
        "abort_import_uncounted pre_importing>import_aborted",
        "skip_import import_aborted>import_skipped",
    ];
    assert_eq!(lines, expected);
    assert_eq!(cancelations(&stack), 1);
    manage.stop();
    way.stop().await;
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_at_rest_is_skipped_at_once_and_what_is_over_is_not() {
    let stack = stack().await;
    for state in ["default", "import_aborted", "pre_import_done"] {
        let path = format!("group/{state}");
        given(&stack, &path, state, None).await.unwrap();
        let (status, reply) = post(
            &stack,
            &format!("/migrations/skip/{path}"),
            json!({"reason": "root_namespace_in_deny_list"}),
        )
        .await;
        assert_eq!(
            (status, &reply["skipped_reason"]),
            (200, &json!("root_namespace_in_deny_list")),
            "{reply}"
        );
        assert_eq!((&reply["migration_state"], &reply["slot"]), (&json!("import_skipped"), &Value::Null));
        let last = history(&stack, &path).await.unwrap().pop().unwrap();
        assert_eq!(last, format!("skip_import {state}>import_skipped"));
    }
    for over in ["import_done", "import_skipped"] {
        let path = format!("over/{over}");
        given(&stack, &path, over, None).await.unwrap();
        let (status, problem) =
            post(&stack, &format!("/migrations/skip/{path}"), json!({"reason": "not_in_plan"})).await;
        assert_eq!((status, &problem["migration_state"]), (409, &json!(over)));
    }
    assert_eq!(cancelations(&stack), 0);
    assert_eq!(post(&stack, "/migrations/skip/group/none", json!({"reason": "not_in_plan"})).await.0, 404);
    for body in
        [Value::Null, json!({}), json!({"reason": "because"}), json!({"reason": "not_in_plan", "x": 1})]
    {
        assert_eq!(post(&stack, "/migrations/skip/over/import_done", body.clone()).await.0, 400, "{body}");
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn cancels_only_what_is_in_progress_or_parked() {
    let stack = stack().await;
    for state in ["default", "import_aborted", "import_done", "import_skipped"] {
        let path = format!("group/{state}");
        given(&stack, &path, state, None).await.unwrap();
        for body in [Value::Null, json!({"force": true})] {
            let (status, problem) = post(&stack, &format!("/migrations/cancel/{path}"), body).await;
            assert_eq!((status, &problem["migration_state"]), (409, &json!(state)));
        }
    }
    given(&stack, "group/parked", "pre_import_done", Some(Uuid::new_v4())).await.unwrap();
    assert_eq!(post(&stack, "/migrations/cancel/group/parked", Value::Null).await.0, 200);
    assert_eq!(state(&stack, "group/parked").await.unwrap(), "import_skipped");
    assert_eq!(cancelations(&stack), 0);
    assert_eq!(post(&stack, "/migrations/cancel/group/none", Value::Null).await.0, 404);
    assert_eq!(post(&stack, "/migrations/cancel/group/parked", json!({"forced": true})).await.0, 400);
    stack.stop().await.unwrap();
}
