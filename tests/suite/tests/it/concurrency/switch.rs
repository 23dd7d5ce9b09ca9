//! The kill switch, turned by an operator while the registry is at work.

use local::{
    Function, Stack, StackOptions,
    local_registry::{Effect, Operation, Point, Rule, Status, Step},
};
use reqwest::Method;
use serde_json::{Value, json};
use suite::{PATIENCE, given, history, options, push_image, repositories, row, state, until_state};

async fn switch(stack: &Stack, enabled: bool) {
    let request = stack.client().as_operator(Method::PATCH, "/settings").json(&json!({"enabled": enabled}));
    assert_eq!(request.send().await.unwrap().status(), 200);
}

async fn sweep(stack: &Stack) -> Value {
    stack.functions().invoke_on_schedule(Function::EnqueueMigrations).await.unwrap()
}

/// What the registry was asked to start, oldest first.
fn asked(stack: &Stack) -> Vec<(String, Step)> {
    let requests = stack.registry().unwrap().journal().requests().into_iter();
    let starts = requests.filter(|request| request.operation == Operation::Start);
    starts.map(|request| (request.path.unwrap(), request.step.unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_switch_starts_nothing_and_lets_steps_finish() {
    let functions = vec![
        Function::StartMigration,
        Function::RegistryNotification,
        Function::ManageMigrations,
        Function::EnqueueMigrations,
        Function::GuardMigrations,
    ];
    let stack = Stack::start(StackOptions { functions, ..options() }).await.unwrap();
    let registry = stack.registry().unwrap();
    let rules = registry.rules();
    let held = ["group/pre", "group/final"].map(|path| {
        let step = if path == "group/pre" { Step::Pre } else { Step::Final };
        rules.add(Rule::new(Effect::Hold { at: Point::Work }).repository(path).step(step))
    });
    repositories(&stack, &["group/pre", "group/final"]).await.unwrap();
    for path in ["group/pre", "group/final"] {
        assert_eq!(stack.client().start(path).await.unwrap().status(), 202);
    }
    until_state(&stack, "group/final", "importing").await.unwrap();
    assert!(registry.wait_for_status("group/pre", Status::PreImportInProgress, PATIENCE).await);
    assert!(registry.wait_for_status("group/final", Status::ImportInProgress, PATIENCE).await);

    switch(&stack, false).await;

    // What could begin now: a new repository and one that is to be retried.
    repositories(&stack, &["group/new"]).await.unwrap();
    push_image(&stack.old_storage().unwrap(), "group/retry").unwrap();
    given(&stack, "group/retry", "import_aborted", None).await.unwrap();
    let before = asked(&stack);
    for (method, url) in [("start", "group/new"), ("retry", "group/retry")] {
        let url = format!("/migrations/{method}/{url}");
        let answer = stack.client().as_operator(Method::POST, &url).send().await.unwrap();
        assert_eq!(answer.status(), 409, "{url}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["type"], "urn:registry-migration:migrations-disabled", "{url}");
    }
    assert_eq!(sweep(&stack).await["ended"], "disabled");

    // What runs finishes: the final step to its end, whose slot stays empty; the pre step no further.
    for rule in held {
        rules.remove(rule);
    }
    until_state(&stack, "group/final", "import_done").await.unwrap();
    until_state(&stack, "group/pre", "pre_import_done").await.unwrap();
    assert!(registry.wait_until_idle(PATIENCE).await);
    // A process takes the next event only when the work after its last answer is done.
    for _ in 0..options().instances {
        let refused = stack.client().notify("group/final", "none of the six", None).await.unwrap();
        assert_eq!(refused.status(), 400);
    }
    let reply = sweep(&stack).await;
    assert_eq!(
        (&reply["resumed"], &reply["started"], &reply["ended"]),
        (&json!(0), &json!(0), &json!("disabled"))
    );
    stack.functions().invoke_on_schedule(Function::GuardMigrations).await.unwrap();
    assert_eq!(asked(&stack), before, "nothing was asked for");
    assert_eq!(state(&stack, "group/new").await.unwrap(), "default");
    assert_eq!(state(&stack, "group/retry").await.unwrap(), "import_aborted");
    let parked = row(&stack, "group/pre").await.unwrap();
    assert!(parked["slot"].is_number(), "{parked}");

    switch(&stack, true).await;

    // The others it starts itself, or the slot that the first of them frees does.
    assert_eq!(sweep(&stack).await["resumed"], 1);
    for path in ["group/pre", "group/final", "group/new", "group/retry"] {
        until_state(&stack, path, "import_done").await.unwrap();
        assert_eq!(row(&stack, path).await.unwrap()["retries_count"], 0, "{path}");
    }
    assert_eq!(
        history(&stack, "group/pre").await.unwrap(),
        [
            "start_pre_import default>pre_importing",
            "finish_pre_import pre_importing>pre_import_done",
            "start_import pre_import_done>importing",
            "finish_import importing>import_done",
        ]
    );
    let finals = asked(&stack).into_iter().filter(|ask| *ask == ("group/pre".to_owned(), Step::Final));
    assert_eq!(finals.count(), 1);
    stack.stop().await.unwrap();
}

/// The answer to a start comes when the switch has been turned: no room now, and none is given later.
#[tokio::test(flavor = "multi_thread")]
async fn kill_switch_returns_a_start_that_was_under_way() {
    let functions = vec![
        Function::StartMigration,
        Function::RegistryNotification,
        Function::ManageMigrations,
        Function::EnqueueMigrations,
    ];
    let stack = Stack::start(StackOptions { functions, ..options() }).await.unwrap();
    repositories(&stack, &["group/final"]).await.unwrap();
    let rules = stack.registry().unwrap().rules();
    let held = rules.add(Rule::new(Effect::Hold { at: Point::Work }).step(Step::Pre));
    assert_eq!(stack.client().start("group/final").await.unwrap().status(), 202);
    stack.registry().unwrap().set_max_concurrent_imports(0);
    rules.remove(held);
    // The final step is refused for want of room: parked, and due when its wait is over.
    suite::until("it is parked", || async {
        let row = row(&stack, "group/final").await?;
        Ok(row["migration_state"] == "pre_import_done" && row["not_before"].is_string())
    })
    .await
    .unwrap();
    switch(&stack, false).await;
    stack.registry().unwrap().set_max_concurrent_imports(5);
    suite::sql(&stack, "UPDATE container_repositories SET not_before = now()").await.unwrap();
    let before = asked(&stack).len();
    assert_eq!(sweep(&stack).await["resumed"], 0);
    assert_eq!(asked(&stack).len(), before);

    suite::release_the_brake(&stack).await.unwrap();
    switch(&stack, true).await;
    assert_eq!(sweep(&stack).await["resumed"], 1);
    until_state(&stack, "group/final", "import_done").await.unwrap();
    assert_eq!(row(&stack, "group/final").await.unwrap()["retries_count"], 0);
    stack.stop().await.unwrap();
}
