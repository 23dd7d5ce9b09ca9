//! A registry that does not answer, or not as a registry does: what a sweep claims then, and what the history gains.

use local::{
    Function, Stack, StackOptions,
    local_registry::{Effect, Operation, Rule, When},
};
use serde_json::{Value, json};
use suite::{history, options, primary, repositories, sql, state};

async fn stack() -> Stack {
    let functions = vec![Function::EnqueueMigrations];
    let stack = Stack::start(StackOptions { functions, instances: 1, ..options() }).await.unwrap();
    repositories(&stack, &["group/a", "group/b", "group/c", "group/d"]).await.unwrap();
    stack
}

fn answer(status: u16, code: Option<&str>, body: Option<&str>) -> Effect {
    let (code, body) = (code.map(str::to_owned), body.map(str::to_owned));
    Effect::Answer { status, code, detail: None, body, when: When::Before }
}

async fn lines(stack: &Stack) -> i64 {
    let client = primary(stack).await.unwrap();
    client.query_one("SELECT count(*) FROM migration_transitions", &[]).await.unwrap().get(0)
}

async fn in_progress(stack: &Stack) -> i64 {
    let query = "SELECT count(*) FROM container_repositories WHERE slot IS NOT NULL";
    primary(stack).await.unwrap().query_one(query, &[]).await.unwrap().get(0)
}

fn started(stack: &Stack) -> usize {
    let requests = stack.registry().unwrap().journal().requests();
    requests.iter().filter(|request| request.operation == Operation::Start).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn adds_no_history_while_no_registry_answers() {
    let stack = stack().await;
    let rules = stack.registry().unwrap().rules();
    let page = "<html><h1>We will be back soon</h1></html>";
    for outage in [
        Effect::Cut { when: When::Before },
        answer(502, None, Some("<html>502 Bad Gateway</html>")),
        answer(503, None, None),
        answer(200, None, Some(page)),
        answer(404, None, Some(page)),
        answer(429, None, None),
    ] {
        let rule = rules.add(Rule::new(outage.clone()));
        for _ in 0..3 {
            let summary = stack.functions().tick().await.unwrap();
            let nothing =
                json!({"resumed": 0, "held": 0, "started": 0, "skipped": 0, "ended": "registry_unavailable"});
            assert_eq!(summary, nothing, "{outage:?}");
        }
        rules.remove(rule);
        assert_eq!((lines(&stack).await, started(&stack)), (0, 0), "{outage:?}");
    }
    // The first sweep after it is over starts them all.
    assert_eq!(stack.functions().tick().await.unwrap()["started"], 4);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_at_the_first_answer_that_is_none() {
    let stack = stack().await;
    let rules = stack.registry().unwrap().rules();
    for (outage, taken) in [
        // Nobody knows whether it was started: that costs one slot.
        (answer(502, None, None), 1),
        (Effect::Cut { when: When::Before }, 1),
        // It surely was not.
        (answer(403, None, Some("<html>blocked</html>")), 0),
        (answer(429, Some("IMPORT_RATE_LIMIT"), None), 0),
        (answer(429, None, None), 0),
    ] {
        let before = (in_progress(&stack).await, started(&stack));
        let rule = rules.add(Rule::new(outage.clone()).operation(Operation::Start));
        let summary = stack.functions().tick().await.unwrap();
        rules.remove(rule);
        assert_eq!(summary["ended"], "registry_unavailable", "{outage:?}");
        let after = (in_progress(&stack).await, started(&stack));
        assert_eq!((after.0 - before.0, after.1 - before.1), (taken, 1), "{outage:?}");
        sql(&stack, "DELETE FROM migration_brake; UPDATE container_repositories SET not_before = NULL")
            .await
            .unwrap();
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lets_others_start_where_one_repository_is_not_ready() {
    let stack = stack().await;
    let not_ready = Rule::new(answer(429, Some("IMPORT_REPOSITORY_NOT_READY"), None));
    stack.registry().unwrap().rules().add(not_ready.operation(Operation::Start).repository("group/a"));
    let summary: Value = stack.functions().tick().await.unwrap();
    assert_eq!((&summary["started"], &summary["ended"]), (&json!(3), &json!("none_due")));
    assert_eq!(state(&stack, "group/a").await.unwrap(), "default");
    let refused = ["start_pre_import default>pre_importing", "start_refused pre_importing>default"];
    assert_eq!(history(&stack, "group/a").await.unwrap(), refused);
    stack.stop().await.unwrap();
}
