//! Aborted repositories, started again: the registry is asked how they stand first.

use local::{
    Stack,
    local_registry::{Effect, Operation, Point, Rule, Status, Step},
};
use serde_json::{Value, json};
use suite::{PATIENCE, given, history, repositories, row, sql, until_state};

use super::{post, stack, sweep};

/// The steps that the registry was asked to start, oldest first.
fn asked(stack: &Stack) -> Vec<Step> {
    let requests = stack.registry().unwrap().journal().requests().into_iter();
    requests
        .filter(|request| request.operation == Operation::Start)
        .filter_map(|request| request.step)
        .collect()
}

/// The row stops, for nothing that the repository did, while the registry goes on.
async fn aborted(stack: &Stack, path: &str) {
    let stop = format!(
        "WITH stopped AS (
            UPDATE container_repositories AS c SET
                migration_state = 'import_aborted', aborted_at = now(), aborted_in_state = c.migration_state,
                slot = NULL, resume_state = NULL, version = version + 1
            WHERE path = '{path}' RETURNING c.*
        ), freed AS (
            UPDATE migration_slots SET repository_id = NULL WHERE repository_id = (SELECT id FROM stopped)
        )
        INSERT INTO migration_transitions (repository_id, version, event, from_state, to_state, cause, attempt)
        SELECT id, version, 'abort_import_uncounted', aborted_in_state, migration_state, 'test', attempt FROM stopped"
    );
    sql(stack, &stop).await.unwrap();
}

async fn started(stack: &Stack, path: &str) -> Value {
    repositories(stack, &[path]).await.unwrap();
    assert_eq!(stack.client().start(path).await.unwrap().status().as_u16(), 202);
    row(stack, path).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_still_runs_is_adopted_and_its_notification_taken() {
    let stack = stack().await;
    let hold = stack.registry().unwrap().rules().add(Rule::new(Effect::Hold { at: Point::Work }));
    let before = started(&stack, "group/image").await;
    aborted(&stack, "group/image").await;

    assert_eq!(sweep(&stack).await["started"], 1);

    let adopted = row(&stack, "group/image").await.unwrap();
    assert_eq!(
        (&adopted["migration_state"], &adopted["attempt"]),
        (&json!("pre_importing"), &before["attempt"])
    );
    assert_eq!(asked(&stack), [Step::Pre], "not started again");
    stack.registry().unwrap().rules().remove(hold);
    until_state(&stack, "group/image", "import_done").await.unwrap();
    assert_eq!(row(&stack, "group/image").await.unwrap()["retries_count"], 0);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pre_step_that_is_done_is_followed_by_the_final_step() {
    let stack = stack().await;
    let registry = stack.registry().unwrap();
    let lose = registry.rules().add(Rule::new(Effect::LoseNotification).step(Step::Pre));
    started(&stack, "group/image").await;
    assert!(registry.wait_for_status("group/image", Status::PreImportComplete, PATIENCE).await);
    registry.rules().remove(lose);
    aborted(&stack, "group/image").await;

    let (status, reply) = post(&stack, "/migrations/retry/group/image", Value::Null).await;

    assert_eq!((status, &reply["migration_state"]), (202, &json!("importing")), "{reply}");
    until_state(&stack, "group/image", "import_done").await.unwrap();
    assert_eq!(asked(&stack), [Step::Pre, Step::Final]);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_complete_is_finished_without_another_start() {
    let stack = stack().await;
    let registry = stack.registry().unwrap();
    registry.rules().add(Rule::new(Effect::LoseNotification).step(Step::Final));
    started(&stack, "group/image").await;
    assert!(registry.wait_for_status("group/image", Status::ImportComplete, PATIENCE).await);
    aborted(&stack, "group/image").await;

    let (status, reply) = post(&stack, "/migrations/retry/group/image", Value::Null).await;

    assert_eq!(
        (status, &reply["migration_state"], &reply["standing"]),
        (200, &json!("import_done"), &json!("settled"))
    );
    assert_eq!(reply["skipped_reason"], Value::Null);
    assert_eq!(asked(&stack), [Step::Pre, Step::Final]);
    let last = history(&stack, "group/image").await.unwrap().pop().unwrap();
    assert_eq!(last, "finish_import importing>import_done");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_with_the_pre_import_if_none_is_known() {
    let stack = stack().await;
    suite::push_image(&stack.old_storage().unwrap(), "group/image").unwrap();
    given(&stack, "group/image", "import_aborted", None).await.unwrap();

    assert_eq!(post(&stack, "/migrations/retry/group/image", Value::Null).await.0, 202);

    until_state(&stack, "group/image", "import_done").await.unwrap();
    assert_eq!(asked(&stack), [Step::Pre, Step::Final], "aborted in the final step, which nothing precedes");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_final_step_is_had_again_without_the_pre_step() {
    let stack = stack().await;
    let fail = Rule::new(Effect::Fail { error: "disk full".to_owned() }).step(Step::Final).times(1);
    stack.registry().unwrap().rules().add(fail);
    started(&stack, "group/image").await;

    // The abort frees a slot, and the chain gives it to what is due first: the same repository.
    until_state(&stack, "group/image", "import_done").await.unwrap();
    assert_eq!(asked(&stack), [Step::Pre, Step::Final, Step::Final]);
    assert_eq!(row(&stack, "group/image").await.unwrap()["retries_count"], 1, "the failure itself, once");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_only_aborted_ones_while_there_is_room() {
    let stack = stack().await;
    for state in ["default", "pre_importing", "pre_import_done", "importing", "import_done", "import_skipped"]
    {
        let path = format!("group/{state}");
        given(&stack, &path, state, None).await.unwrap();
        let (status, problem) = post(&stack, &format!("/migrations/retry/{path}"), Value::Null).await;
        assert_eq!((status, &problem["migration_state"]), (409, &json!(state)));
    }
    given(&stack, "group/image", "import_aborted", None).await.unwrap();
    let before = row(&stack, "group/image").await.unwrap();
    let retry = || post(&stack, "/migrations/retry/group/image", Value::Null);
    sql(&stack, "UPDATE migration_settings SET capacity = 3").await.unwrap();
    assert_eq!(retry().await.0, 429);
    sql(&stack, "UPDATE migration_settings SET enabled = false").await.unwrap();
    assert_eq!(retry().await.0, 409);
    assert_eq!(post(&stack, "/migrations/retry/group/none", Value::Null).await.0, 404);
    assert_eq!(row(&stack, "group/image").await.unwrap(), before);
    assert_eq!(asked(&stack), []);
    stack.stop().await.unwrap();
}
