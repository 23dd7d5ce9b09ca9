//! What seems stuck: every row of the guard's table, brought about by a registry that really copies, and the
//! guard's rounds as a whole.

mod due;
mod endings;
mod leases;
mod rounds;
mod silent;
mod starts;
mod timeouts;

use std::collections::BTreeMap;

use local::{
    Function, Stack, StackOptions,
    local_registry::{Operation, RequestRecord, Step},
};
use reqwest::StatusCode;
use serde_json::Value;
use suite::{options, row, sql};

/// A stack without the schedule that starts repositories by itself.
async fn stack() -> Stack {
    let functions = vec![Function::StartMigration, Function::RegistryNotification, Function::GuardMigrations];
    Stack::start(StackOptions { functions, ..options() }).await.unwrap()
}

async fn start(stack: &Stack, path: &str) {
    let answer = stack.client().start(path).await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED, "{path}");
}

/// Lets every step have begun so much earlier than it has, on the reader too.
async fn minutes_pass(stack: &Stack, minutes: u32) {
    seconds_pass(stack, minutes * 60).await;
}

async fn seconds_pass(stack: &Stack, seconds: u32) {
    let earlier = format!(
        "UPDATE container_repositories SET
            pre_import_started_at = pre_import_started_at - interval '{seconds} seconds',
            import_started_at = import_started_at - interval '{seconds} seconds',
            not_before = not_before - interval '{seconds} seconds',
            next_check_at = next_check_at - interval '{seconds} seconds',
            leased_until = leased_until - interval '{seconds} seconds'
        WHERE slot IS NOT NULL"
    );
    sql(stack, &earlier).await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
}

/// One round of the guard.
async fn guard(stack: &Stack) -> Value {
    stack.functions().invoke_on_schedule(Function::GuardMigrations).await.unwrap()
}

/// How often each thing was found in a round.
fn found(summary: &Value) -> BTreeMap<String, u64> {
    serde_json::from_value(summary["found"].clone()).unwrap()
}

fn just(finding: &str, times: u64) -> BTreeMap<String, u64> {
    BTreeMap::from([(finding.to_owned(), times)])
}

/// The requests to start a step of a repository, oldest first.
fn starts(stack: &Stack, path: &str, step: Step) -> Vec<RequestRecord> {
    let requests = stack.registry().unwrap().journal().requests().into_iter();
    let of_it = |request: &RequestRecord| request.path.as_deref() == Some(path) && request.step == Some(step);
    requests.filter(|request| request.operation == Operation::Start && of_it(request)).collect()
}

async fn retries(stack: &Stack, path: &str) -> Value {
    row(stack, path).await.unwrap()["retries_count"].clone()
}
