//! What an operation costs, counted in Data API calls.

use local::{
    Function, Stack, StackOptions, WRITER_ARN,
    local_registry::{Effect, Operation, Point, Rule, When},
};
use reqwest::{Method, StatusCode};
use suite::{
    data_api_calls, given, history, options, push_image, repositories, sql, stack, until, until_state,
};

/// The statements since `before`, each by a word that only it has.
fn statements(stack: &Stack, before: usize) -> Vec<&'static str> {
    let name = |sql: &str| match sql {
        sql if sql.contains(":precondition = 'notification'") => "change",
        sql if sql.contains("named AS MATERIALIZED") => "start",
        sql if sql.contains("FOR UPDATE OF s SKIP LOCKED") => "claim",
        sql if sql.contains("WITH picked AS") => "skip",
        sql if sql.contains("INTO migration_tag_lists") => "keep tags",
        sql if sql.contains("pending AS MATERIALIZED") => "compare tags",
        sql if sql.contains("FROM migration_tag_lists AS l") => "take uncompared",
        sql if sql.contains("'newest_line'") => "scan",
        sql if sql.contains("ORDER BY id DESC") => "overdue line",
        sql if sql.contains("'pre_import_done'") => "resume",
        sql if sql.contains("LIMIT :limit") => "list",
        _ => "status",
    };
    stack.data_api().journal()[before..]
        .iter()
        .map(|call| name(call.sql.as_deref().unwrap_or_default()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_costs_one_call_before_its_answer() {
    let stack = stack().await.unwrap();
    let accepted = Effect::Answer { status: 202, code: None, detail: None, body: None, when: When::Before };
    stack.registry().unwrap().rules().add(Rule::new(accepted).operation(Operation::Start));
    sql(&stack, "UPDATE migration_settings SET capacity = 0").await.unwrap();

    for (path, state, status, after) in [
        // The tags are kept; the registry accepts the final step: nothing more to record.
        ("group/image", "pre_importing", "pre_import_complete", &["keep tags"][..]),
        // A slot was freed: whose turn is it?
        ("group/done", "importing", "import_complete", &["claim"][..]),
        ("group/failed", "pre_importing", "pre_import_failed", &["claim"][..]),
    ] {
        given(&stack, path, state, None).await.unwrap();
        let before = data_api_calls(&stack);
        let answer = stack.client().notify(path, status, None).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(statements(&stack, before)[0], "change");
        let expected = [&["change"][..], after].concat();
        until(&format!("{status} has cost {expected:?}"), || async {
            Ok(statements(&stack, before) == expected)
        })
        .await
        .unwrap();
        // The next request to the same processes is served only when the work after the last answer is done.
        for _ in 0..4 {
            stack.client().notify(path, "none of the six", None).await.unwrap();
        }
        assert_eq!(statements(&stack, before), expected, "{status}");
    }
    // Ignored and refused ones, too.
    for (path, state) in [("group/new", "default"), ("group/skipped", "import_skipped")] {
        given(&stack, path, state, None).await.unwrap();
        let before = data_api_calls(&stack);
        stack.client().notify(path, "import_complete", None).await.unwrap();
        assert_eq!(statements(&stack, before), ["change"]);
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_with_one_call_or_two_to_record_the_answer() {
    let stack = stack().await.unwrap();
    repositories(&stack, &["group/accepted"]).await.unwrap();
    stack.registry().unwrap().rules().add(Rule::new(Effect::LoseNotification));
    let before = data_api_calls(&stack);
    assert_eq!(stack.client().start("group/accepted").await.unwrap().status(), StatusCode::ACCEPTED);
    assert_eq!(statements(&stack, before), ["start"]);

    stack.register(&["group/missing".to_owned()]).await.unwrap();
    let before = data_api_calls(&stack);
    assert_eq!(stack.client().start("group/missing").await.unwrap().status(), StatusCode::OK);
    assert_eq!(statements(&stack, before), ["start", "change"]);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_with_one_call_or_two_behind_the_caller() {
    let stack = Stack::start(StackOptions { instances: 1, ..options() }).await.unwrap();
    stack.register(&["group/image".to_owned()]).await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    stack.pair().pause_replay().await.unwrap();
    given(&stack, "group/later", "pre_importing", None).await.unwrap();
    // A process sees at its first read who the two endpoints are; that costs a call to each.
    stack.client().as_operator(Method::GET, "/migrations").send().await.unwrap();
    let learnt = stack.data_api().journal();
    let learnt =
        learnt.iter().filter(|call| call.sql.as_deref().is_some_and(|sql| sql.contains("WITH itself")));
    assert_eq!(learnt.count(), 2);
    for (url, cost) in [
        ("/migrations/status/group/image", 1),
        ("/migrations/status/group/image?min_version=1", 1),
        ("/migrations/status/group/later?min_version=2", 2),
        ("/migrations", 1),
    ] {
        let before = data_api_calls(&stack);
        let answer = stack.client().as_operator(Method::GET, url).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{url}");
        assert_eq!(data_api_calls(&stack) - before, cost, "{url}");
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn never_asks_a_reader_past_its_bound_first() {
    let stack = Stack::start(StackOptions { instances: 1, ..options() }).await.unwrap();
    stack.pair().pause_replay().await.unwrap();
    suite::heartbeat_of_an_hour_ago(&stack).await.unwrap();
    let list = || async {
        let before = data_api_calls(&stack);
        let answer = stack.client().as_operator(Method::GET, "/migrations").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let arns = stack.data_api().journal().split_off(before).into_iter().map(|call| call.arn.unwrap());
        arns.collect::<Vec<_>>()
    };
    // It is asked while that is found out.
    assert_eq!(list().await.len(), 4);
    assert_eq!(list().await, [WRITER_ARN]);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sweeps_with_one_call_per_start_and_three_at_the_end() {
    let stack = stack().await.unwrap();
    repositories(&stack, &["group/a", "group/b", "group/c"]).await.unwrap();
    stack.registry().unwrap().rules().add(Rule::new(Effect::LoseNotification));
    let before = data_api_calls(&stack);
    let summary = stack.functions().tick().await.unwrap();
    assert_eq!(
        summary,
        serde_json::json!({"resumed": 0, "held": 0, "started": 3, "skipped": 0, "ended": "none_due"})
    );
    assert_eq!(statements(&stack, before), ["resume", "skip", "claim", "claim", "claim", "claim"]);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_the_sweep_when_the_registry_is_full() {
    let stack = stack().await.unwrap();
    repositories(&stack, &["group/a", "group/b", "group/c", "group/d"]).await.unwrap();
    stack.registry().unwrap().set_max_concurrent_imports(1);
    stack.registry().unwrap().rules().add(Rule::new(Effect::Hold { at: Point::Work }));
    let summary = stack.functions().tick().await.unwrap();
    assert_eq!(
        summary,
        serde_json::json!({"resumed": 0, "held": 0, "started": 1, "skipped": 0, "ended": "registry_unavailable"})
    );
    // Once it has taken one it is asked for two at once.
    assert_eq!(history(&stack, "group/d").await.unwrap(), Vec::<String>::new());
    let starts = stack.registry().unwrap().journal().requests();
    // The second of them is not asked for where the first was refused before.
    let asked = starts.iter().filter(|request| request.operation == Operation::Start).count();
    assert!((2..=3).contains(&asked), "{asked}");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_resumes_what_is_parked_before_it_starts_anything() {
    let stack = stack().await.unwrap();
    push_image(&stack.old_storage().unwrap(), "group/parked").unwrap();
    given(&stack, "group/parked", "pre_import_done", None).await.unwrap();
    let rule = Effect::Answer { status: 202, code: None, detail: None, body: None, when: When::Before };
    stack.registry().unwrap().rules().add(Rule::new(rule).operation(Operation::Start));
    let summary = stack.functions().tick().await.unwrap();
    assert_eq!(
        summary,
        serde_json::json!({"resumed": 1, "held": 0, "started": 0, "skipped": 0, "ended": "none_due"})
    );
    until_state(&stack, "group/parked", "importing").await.unwrap();
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_of_the_guard_costs_one_call_for_each_question() {
    let functions = vec![Function::GuardMigrations];
    let stack = Stack::start(StackOptions { functions, instances: 1, ..options() }).await.unwrap();
    let round = || stack.functions().invoke_on_schedule(Function::GuardMigrations);
    // The first one asks how the endpoints stand, too.
    round().await.unwrap();
    let before = data_api_calls(&stack);
    round().await.unwrap();
    assert_eq!(statements(&stack, before), ["overdue line", "scan", "take uncompared"]);

    stack.pair().pause_replay().await.unwrap();
    given(&stack, "group/image", "importing", None).await.unwrap();
    sql(&stack, "UPDATE migration_transitions SET created_at = created_at - interval '10 seconds'")
        .await
        .unwrap();
    let before = data_api_calls(&stack);
    round().await.unwrap();
    let standing_still = statements(&stack, before);
    assert_eq!(standing_still, ["overdue line", "scan", "scan", "take uncompared"]);
    stack.stop().await.unwrap();
}
