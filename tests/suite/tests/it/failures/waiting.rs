//! More requests wait for a function than cargo lambda keeps.

use std::time::Duration;

use local::Function;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reqwest::{Method, StatusCode};
use suite::{stack, until};

/// cargo lambda 1.9.2 keeps 100.
const MANY: usize = 250;

#[tokio::test(flavor = "multi_thread")]
async fn answers_again_after_many_callers_have_hung_up() {
    let stack = stack().await.unwrap();
    let client = stack.client();
    let tell = |signal: Signal| {
        for pid in stack.functions().pids(Function::RegistryNotification) {
            kill(Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
        }
    };
    let path = "/api/v4/internal/registry/repositories/a/b/migration/status";
    let notify = || client.request(Method::PUT, path).body("{}");

    tell(Signal::SIGSTOP);
    let calls = (0..MANY).map(|_| notify().timeout(Duration::from_secs(2)).send());
    let hung_up = futures::future::join_all(calls).await;
    assert!(hung_up.iter().all(Result::is_err), "nobody answers: {hung_up:?}");
    let other = client.as_operator(Method::GET, "/migrations").timeout(Duration::from_secs(20)).send();
    assert_eq!(other.await.unwrap().status(), StatusCode::OK, "another function goes on");

    tell(Signal::SIGCONT);
    until("the function answers again", || async {
        let answer = notify().timeout(Duration::from_secs(2)).send().await;
        Ok(answer.is_ok_and(|answer| answer.status() == StatusCode::UNAUTHORIZED))
    })
    .await
    .unwrap();
    stack.stop().await.unwrap();
}
