//! The functions under cargo lambda, as the suite uses them.

#![allow(clippy::unwrap_used, reason = "clippy sees the helpers of a test as ordinary code")]

use std::time::{Duration, Instant};

use local::{Function, Stack, StackOptions};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

async fn stack(functions: &[Function]) -> Stack {
    let options = StackOptions { functions: functions.to_vec(), instances: 2, ..StackOptions::default() };
    Stack::start(options).await.unwrap()
}

#[tokio::test]
async fn gives_a_process_its_functions_environment_only() {
    let stack = stack(&[Function::RegistryNotification]).await;
    for pid in stack.functions().pids(Function::RegistryNotification) {
        let environment = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
        let names: Vec<&str> = environment.split('\0').filter_map(|pair| pair.split('=').next()).collect();
        assert!(names.contains(&"WRITER_ARN"));
        assert!(!names.iter().any(|name| name.starts_with("READER") || *name == "PATH"), "{names:?}");
    }
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_process_that_dies_is_replaced_and_the_function_goes_on() {
    let stack = stack(&[Function::StartMigration]).await;
    let before = stack.functions().pids(Function::StartMigration);
    for pid in &before {
        kill(Pid::from_raw((*pid).try_into().unwrap()), Signal::SIGKILL).unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while stack.functions().restarts() < before.len() {
        assert!(Instant::now() < deadline, "nothing was started again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let after = stack.functions().pids(Function::StartMigration);
    assert!(after.len() == before.len() && !after.iter().any(|pid| before.contains(pid)));
    assert_eq!(stack.client().start("group/unknown").await.unwrap().status(), 404);
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn reports_missing_variables_in_the_functions_words() {
    let stack = stack(&[]).await;
    let error = stack
        .run_functions(&[Function::StartMigration], |_, environment| {
            environment.remove("WRITER_ARN");
        })
        .await
        .unwrap_err();
    assert!(format!("{error:#}").contains("WRITER_ARN"), "{error:#}");
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn the_schedule_reaches_enqueue_migrations() {
    let stack = stack(&[Function::EnqueueMigrations]).await;
    stack.functions().tick().await.unwrap();
    assert!(stack.functions().log(Function::EnqueueMigrations).contains("sweep"));
    stack.stop().await.unwrap();
}
