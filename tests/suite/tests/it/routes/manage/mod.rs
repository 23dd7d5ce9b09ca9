//! What operators do, and the rules of enqueueing that their settings make.

mod catalogue;
mod enqueue;
mod explain;
mod giving_up;
mod holds;
mod leaving;
mod registering;
mod registering_again;
mod reopening;
mod retrying;
mod settings;
mod tags;

use local::{Environment, Function, FunctionSet, Stack, StackOptions};
use reqwest::Method;
use serde_json::Value;
use suite::options;

/// A stack whose schedules nobody ticks.
async fn stack() -> Stack {
    let functions = vec![
        Function::StartMigration,
        Function::RegistryNotification,
        Function::ManageMigrations,
        Function::EnqueueMigrations,
    ];
    Stack::start(StackOptions { functions, ..options() }).await.unwrap()
}

/// An operator's call; a null body is none.
async fn call(stack: &Stack, method: &str, path: &str, body: Value) -> (u16, Value) {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = stack.client().as_operator(method, path);
    if !body.is_null() {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

async fn post(stack: &Stack, path: &str, body: Value) -> (u16, Value) {
    call(stack, "POST", path, body).await
}

/// One sweep of enqueue-migrations.
async fn sweep(stack: &Stack) -> Value {
    stack.functions().invoke_on_schedule(Function::EnqueueMigrations).await.unwrap()
}

/// manage-migrations with a registry that nobody is.
async fn without_registry(stack: &Stack) -> FunctionSet {
    let nowhere = |_, environment: &mut Environment| {
        environment.insert("REGISTRY_URL".to_owned(), "http://127.0.0.1:1".to_owned());
    };
    stack.run_functions(&[Function::ManageMigrations], nowhere).await.unwrap()
}
