//! Starts that never arrived, whose answer was lost, or that had to wait.

use local::{
    Stack,
    local_registry::{Effect, Operation, Point, Rule, Status, Step, When},
};
use serde_json::json;
use shared::{
    endpoint::{Claim, Guard, Manage},
    migration::{self, AttemptId, Event, Plan},
    store::{AskingAgain, Noted, Store, Verdict},
};
use suite::{PATIENCE, history, push_image, repositories, row, sql, state, until_state, writer};
use tokio::time::Instant;
use uuid::Uuid;

use super::{found, guard, just, minutes_pass, retries, seconds_pass, stack, start, starts};

/// The registry's side answers nonsense before anything has begun: for the driver, the outcome is unknown.
fn never_arrives(step: Step) -> Rule {
    let effect = Effect::Answer { status: 502, code: None, detail: None, body: None, when: When::Before };
    Rule::new(effect).operation(Operation::Start).step(step)
}

#[tokio::test(flavor = "multi_thread")]
async fn repairs_what_was_lost_fifteen_seconds_after_its_start() {
    let stack = stack().await;
    let paths = ["lost/start", "lost/promotion", "lost/notification"];
    repositories(&stack, &paths).await.unwrap();
    let registry = stack.registry().unwrap();
    registry.rules().add(never_arrives(Step::Pre).repository("lost/start").times(1));
    registry.rules().add(never_arrives(Step::Final).repository("lost/promotion").times(1));
    let lost = Rule::new(Effect::LoseNotification).repository("lost/notification").times(1);
    registry.rules().add(lost);
    for path in paths {
        start(&stack, path).await;
    }
    until_state(&stack, "lost/promotion", "importing").await.unwrap();
    assert!(registry.wait_for_status("lost/notification", Status::PreImportComplete, PATIENCE).await);
    let all_met = registry.journal().wait_until(PATIENCE, |_| registry.rules().list().is_empty());
    assert!(all_met.await, "every rule was met");
    stack.pair().wait_until_replayed().await.unwrap();
    assert_eq!(guard(&stack).await["hinted"], 0, "what was just asked for is given its time");

    seconds_pass(&stack, 15).await;
    let expected = ["asked_again", "promoted", "restarted"].map(|finding| (finding.to_owned(), 1));
    assert_eq!(found(&guard(&stack).await), expected.into());

    for path in paths {
        until_state(&stack, path, "import_done").await.unwrap();
        assert_eq!(retries(&stack, path).await, 0);
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn looks_at_a_longer_step_again_when_it_should_be_over() {
    let stack = stack().await;
    repositories(&stack, &["group/image"]).await.unwrap();
    let registry = stack.registry().unwrap();
    registry.rules().add(Rule::new(Effect::LoseNotification).step(Step::Pre));
    let hold = registry.rules().add(Rule::new(Effect::Hold { at: Point::Work }).step(Step::Pre));
    start(&stack, "group/image").await;
    assert!(registry.wait_for_status("group/image", Status::PreImportInProgress, PATIENCE).await);
    seconds_pass(&stack, 15).await;
    assert_eq!(found(&guard(&stack).await), just("running", 1));
    let looked = row(&stack, "group/image").await.unwrap();
    assert_eq!((&looked["lease"], &looked["leased_until"]), (&json!(null), &json!(null)));
    seconds_pass(&stack, 280).await;
    assert_eq!(guard(&stack).await["hinted"], 0);

    assert!(registry.rules().remove(hold));
    assert!(registry.wait_for_status("group/image", Status::PreImportComplete, PATIENCE).await);
    seconds_pass(&stack, 5).await;
    assert_eq!(found(&guard(&stack).await), just("promoted", 1));
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_or_settles_what_the_registry_does_not_know() {
    let stack = stack().await;
    repositories(&stack, &["group/image"]).await.unwrap();
    stack.register(&["group/gone".to_owned(), "group/native".to_owned()]).await.unwrap();
    let registry = stack.registry().unwrap();
    push_image(&registry.new_storage(), "group/native").unwrap();
    registry.rules().add(never_arrives(Step::Pre).times(3));
    for path in ["group/image", "group/gone", "group/native"] {
        start(&stack, path).await;
        assert_eq!(state(&stack, path).await.unwrap(), "pre_importing");
    }
    minutes_pass(&stack, 6).await;

    let summary = guard(&stack).await;

    assert_eq!(found(&summary), [("native".to_owned(), 1), ("restarted".to_owned(), 2)].into());
    until_state(&stack, "group/image", "import_done").await.unwrap();
    let asked = starts(&stack, "group/image", Step::Pre);
    assert_eq!(asked.len(), 2);
    assert_ne!(asked[0].request_id, asked[1].request_id);
    for (path, reason) in [("group/image", json!(null)), ("group/gone", json!(5)), ("group/native", json!(6))]
    {
        let row = row(&stack, path).await.unwrap();
        assert_eq!(
            (&row["migration_state"], &row["skipped_reason"]),
            (&json!("import_done"), &reason),
            "{path}"
        );
        assert_eq!(row["retries_count"], 0);
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn resends_a_lost_final_step_with_the_same_attempt() {
    let stack = stack().await;
    repositories(&stack, &["group/image"]).await.unwrap();
    stack.registry().unwrap().rules().add(never_arrives(Step::Final).times(1));
    start(&stack, "group/image").await;
    until_state(&stack, "group/image", "importing").await.unwrap();
    let journal = stack.registry().unwrap().journal();
    assert!(
        journal
            .wait_until(PATIENCE, |journal| {
                journal
                    .requests()
                    .iter()
                    .any(|request| request.step == Some(Step::Final) && request.ended.is_some())
            })
            .await
    );
    let before = row(&stack, "group/image").await.unwrap();
    minutes_pass(&stack, 6).await;

    assert_eq!(found(&guard(&stack).await), just("asked_again", 1));

    until_state(&stack, "group/image", "import_done").await.unwrap();
    let asked = starts(&stack, "group/image", Step::Final);
    assert_eq!(asked.len(), 2);
    for request in asked {
        assert_eq!(json!(request.request_id), before["attempt"]);
    }
    assert_eq!(retries(&stack, "group/image").await, 0);
    let history = history(&stack, "group/image").await.unwrap();
    assert_eq!(history.iter().filter(|line| line.starts_with("start_import")).count(), 1, "{history:?}");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_an_attempt_that_turns_out_to_run() {
    let stack = stack().await;
    repositories(&stack, &["group/image"]).await.unwrap();
    let registry = stack.registry().unwrap();
    let hold = registry.rules().add(Rule::new(Effect::Hold { at: Point::Work }).step(Step::Final));
    start(&stack, "group/image").await;
    assert!(registry.wait_for_status("group/image", Status::ImportInProgress, PATIENCE).await);
    // As it was before our own request arrived, late.
    let body = json!({"name": "image", "path": "group/image", "status": "pre_import_complete"});
    let was = Effect::Answer {
        status: 200,
        code: None,
        detail: None,
        body: Some(body.to_string()),
        when: When::Before,
    };
    registry.rules().add(Rule::new(was).operation(Operation::Status).times(1));
    let before = row(&stack, "group/image").await.unwrap();
    minutes_pass(&stack, 6).await;

    assert_eq!(found(&guard(&stack).await), just("asked_again", 1));

    let asked = starts(&stack, "group/image", Step::Final);
    assert_eq!(asked.last().unwrap().error_code.as_deref(), Some("IMPORT_IN_PROGRESS"));
    let after = row(&stack, "group/image").await.unwrap();
    assert_eq!((&after["version"], &after["attempt"]), (&before["version"], &before["attempt"]));
    assert!(registry.rules().remove(hold));
    until_state(&stack, "group/image", "import_done").await.unwrap();
    stack.stop().await.unwrap();
}

/// The guard is about to ask for the row's step once more; then the registry answers a request for it, sent before and long
/// on its way, that `running` is in progress.
async fn answered_late(stack: &Stack, path: &str, running: migration::Step) {
    let (guard, claims): (Store<Guard>, Store<Claim>) =
        (Store::new(writer(stack)), Store::new(writer(stack)));
    let (path, soon) = (path.parse().unwrap(), Instant::now() + PATIENCE);
    let row = Store::<Manage>::new(writer(stack)).find(&path, soon).await.unwrap().unwrap();
    assert_eq!(guard.note_asking_again(&row, AskingAgain::Asking, soon).await.unwrap(), Noted::Noted);
    let (plan, change) = (Plan::event(Event::Adopt(running)), AttemptId::new(Uuid::new_v4()));
    let report = claims.record_answer(&path, row.attempt.unwrap(), &plan, None, change, soon).await.unwrap();
    assert_eq!(report.unwrap().verdict, Verdict::Applied);
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_an_attempt_that_was_asked_for_twice() {
    let stack = stack().await;
    let paths = ["group/final", "group/pre"];
    repositories(&stack, &paths).await.unwrap();
    let registry = stack.registry().unwrap();
    let hold = registry.rules().add(Rule::new(Effect::Hold { at: Point::Work }).step(Step::Final));
    for path in paths {
        start(&stack, path).await;
        assert!(registry.wait_for_status(path, Status::ImportInProgress, PATIENCE).await);
    }
    let before = row(&stack, "group/final").await.unwrap();

    answered_late(&stack, "group/final", migration::Step::Final).await;
    answered_late(&stack, "group/pre", migration::Step::Pre).await;

    let after = row(&stack, "group/final").await.unwrap();
    assert_eq!((&after["migration_state"], &after["attempt"]), (&json!("importing"), &before["attempt"]));
    // That it was asked for the final step says nothing of who asked for a pre step.
    assert_eq!(row(&stack, "group/pre").await.unwrap()["attempt"], json!(null));
    assert!(registry.rules().remove(hold));
    until_state(&stack, "group/final", "import_done").await.unwrap();
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn accepts_the_notification_after_a_lost_202() {
    let stack = stack().await;
    repositories(&stack, &["group/image"]).await.unwrap();
    let rules = stack.registry().unwrap().rules();
    rules.add(Rule::new(Effect::Cut { when: When::After }).operation(Operation::Start).times(1));
    let hold = rules.add(Rule::new(Effect::Hold { at: Point::Work }).step(Step::Pre));
    start(&stack, "group/image").await;
    let before = row(&stack, "group/image").await.unwrap();
    minutes_pass(&stack, 6).await;

    assert_eq!(found(&guard(&stack).await), just("running", 1));

    let after = row(&stack, "group/image").await.unwrap();
    assert_eq!((&after["version"], &after["attempt"]), (&before["version"], &before["attempt"]));
    assert!(rules.remove(hold));
    until_state(&stack, "group/image", "import_done").await.unwrap();
    assert_eq!(starts(&stack, "group/image", Step::Pre).len(), 1);
    assert!(stack.registry().unwrap().wait_until_idle(PATIENCE).await);
    assert!(stack.registry().unwrap().journal().notifications().iter().all(|sent| sent.is_accepted()));
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn adopts_an_unexpected_step_with_its_own_attempt() {
    let stack = stack().await;
    repositories(&stack, &["group/image"]).await.unwrap();
    let rules = stack.registry().unwrap().rules();
    let hold = rules.add(Rule::new(Effect::Hold { at: Point::Work }).step(Step::Final));
    start(&stack, "group/image").await;
    until_state(&stack, "group/image", "importing").await.unwrap();
    assert!(
        stack.registry().unwrap().wait_for_status("group/image", Status::ImportInProgress, PATIENCE).await
    );
    let running = row(&stack, "group/image").await.unwrap()["attempt"].clone();
    // As after a refusal that was none.
    let back = "UPDATE container_repositories AS c SET migration_state = 'pre_import_done', resume_state = NULL,
            version = c.version + 1, attempt = first.attempt
        FROM migration_transitions AS first WHERE first.event = 'start_pre_import' AND first.repository_id = c.id";
    sql(&stack, back).await.unwrap();
    minutes_pass(&stack, 6).await;

    assert_eq!(found(&guard(&stack).await), just("adopted", 1));

    let adopted = row(&stack, "group/image").await.unwrap();
    assert_eq!((&adopted["migration_state"], &adopted["attempt"]), (&json!("importing"), &running));
    assert!(rules.remove(hold));
    until_state(&stack, "group/image", "import_done").await.unwrap();
    assert_eq!(starts(&stack, "group/image", Step::Final).len(), 1);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_parked_by_a_full_registry_goes_on_once_it_may() {
    let stack = stack().await;
    repositories(&stack, &["group/image"]).await.unwrap();
    let code = Some("IMPORT_RATE_LIMIT".to_owned());
    let full = Effect::Answer { status: 429, code, detail: None, body: None, when: When::Before };
    let rule = Rule::new(full).operation(Operation::Start).step(Step::Final);
    let rule = stack.registry().unwrap().rules().add(rule);
    start(&stack, "group/image").await;
    until_state(&stack, "group/image", "pre_import_done").await.unwrap();
    assert!(stack.registry().unwrap().rules().remove(rule));
    minutes_pass(&stack, 1).await;

    assert_eq!(found(&guard(&stack).await), just("resumed", 1));

    until_state(&stack, "group/image", "import_done").await.unwrap();
    assert_eq!(retries(&stack, "group/image").await, 0);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_switch_stops_the_guards_starts_until_it_is_on() {
    let stack = stack().await;
    repositories(&stack, &["lost/pre", "lost/start", "lost/final"]).await.unwrap();
    let rules = stack.registry().unwrap().rules();
    rules.add(Rule::new(Effect::LoseNotification).repository("lost/pre").step(Step::Pre));
    rules.add(never_arrives(Step::Pre).repository("lost/start").times(1));
    rules.add(never_arrives(Step::Final).repository("lost/final").times(1));
    for path in ["lost/pre", "lost/start", "lost/final"] {
        start(&stack, path).await;
    }
    until_state(&stack, "lost/final", "importing").await.unwrap();
    let registry = stack.registry().unwrap();
    assert!(registry.wait_for_status("lost/pre", Status::PreImportComplete, PATIENCE).await);
    assert!(registry.wait_until_idle(PATIENCE).await);
    sql(&stack, "UPDATE migration_settings SET enabled = false").await.unwrap();
    minutes_pass(&stack, 6).await;
    let asked = |stack: &local::Stack| {
        let requests = stack.registry().unwrap().journal().requests().into_iter();
        requests.filter(|request| request.operation == Operation::Start).count()
    };
    // Three pre steps and the final one, which is asked for only after the notification's answer.
    suite::until("the final step is asked for", || async { Ok(asked(&stack) == 4) }).await.unwrap();
    let before = asked(&stack);

    let summary = guard(&stack).await;

    assert_eq!(found(&summary), [("given_back".to_owned(), 2), ("parked".to_owned(), 1)].into());
    assert_eq!(asked(&stack), before);
    for (path, held) in
        [("lost/pre", "pre_import_done"), ("lost/start", "default"), ("lost/final", "pre_import_done")]
    {
        assert_eq!(state(&stack, path).await.unwrap(), held, "{path}");
        assert_eq!(retries(&stack, path).await, 0);
    }
    minutes_pass(&stack, 6).await;
    assert_eq!(guard(&stack).await["hinted"], 0, "parked rows wait for the switch");

    sql(&stack, "UPDATE migration_settings SET enabled = true").await.unwrap();
    minutes_pass(&stack, 6).await;
    assert_eq!(found(&guard(&stack).await), just("resumed", 2));
    for path in ["lost/pre", "lost/final"] {
        until_state(&stack, path, "import_done").await.unwrap();
        assert_eq!(retries(&stack, path).await, 0);
    }
    stack.stop().await.unwrap();
}
