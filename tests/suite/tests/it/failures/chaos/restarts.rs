//! The registry and the writer restarted while migrations run.

use std::time::Duration;

use jiff::Timestamp;
use local::{
    Stack,
    local_registry::{Effect, Point, Restart, Rule, Step},
};
use suite::{PATIENCE, repositories, until, until_state};

use super::{
    WHOLE, is_migrated, nothing_is_held, quiet, running, schedules_run_until_the_end, stack, started,
    transitions,
};

/// How long the registry takes no start of what was canceled in the pre step.
const SETTLES: Duration = Duration::from_secs(5);

/// Canceled once in either step, and begun again.
const PRE_CUT_OFF: [&str; 6] = [
    "start_pre_import default>pre_importing",
    "abort_import_uncounted pre_importing>import_aborted",
    "retry_pre_import import_aborted>pre_importing",
    "finish_pre_import pre_importing>pre_import_done",
    "start_import pre_import_done>importing",
    "finish_import importing>import_done",
];
const FINAL_CUT_OFF: [&str; 6] = [
    "start_pre_import default>pre_importing",
    "finish_pre_import pre_importing>pre_import_done",
    "start_import pre_import_done>importing",
    "abort_import_uncounted importing>import_aborted",
    "retry_import import_aborted>importing",
    "finish_import importing>import_done",
];

/// Has repositories started and held half way through a step, so that it runs when something happens to it.
async fn running_in(stack: &Stack, step: Step, paths: &[&str]) {
    for path in paths {
        let hold = Rule::new(Effect::Hold { at: Point::Work }).repository(path).step(step).times(1);
        stack.registry().unwrap().rules().add(hold);
    }
    started(stack, paths).await;
    for path in paths {
        until_state(stack, path, running(step)).await.unwrap();
    }
    let all_run = |stack: &Stack| {
        let statuses = stack.registry().unwrap().entries().into_iter();
        let those = statuses.filter(|entry| paths.contains(&entry.path.as_str()));
        those.filter(|entry| entry.status == step.in_progress()).count() == paths.len()
    };
    until("all of them run", || async { Ok(all_run(stack)) }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_what_the_registrys_restart_cut_off() {
    let stack = stack(2).await;
    let registry = stack.registry().unwrap();
    for (path, step) in [("pre/lost", Step::Pre), ("final/lost", Step::Final)] {
        registry.rules().add(Rule::new(Effect::LoseNotification).repository(path).step(step).times(1));
    }
    running_in(&stack, Step::Pre, &["pre/notified", "pre/lost"]).await;
    running_in(&stack, Step::Final, &["final/notified", "final/lost"]).await;

    // What may take the slots that are freed: a registry that stops would accept it, and cut it off without a word.
    let next = ["next/a", "next/b", "next/c", "next/d"];
    repositories(&stack, &next).await.unwrap();

    registry.restart(Restart::Graceful, Duration::from_millis(200)).await.unwrap();
    registry.rules().clear();

    for (path, now) in [
        ("pre/notified", "import_aborted"),
        ("final/notified", "import_aborted"),
        ("pre/lost", "pre_importing"),
        ("final/lost", "importing"),
    ] {
        until_state(&stack, path, now).await.unwrap();
    }
    let settled = || async {
        let now = Timestamp::now();
        Ok(registry.entries().iter().all(|entry| now.duration_since(entry.since).unsigned_abs() > SETTLES))
    };
    until("the registry takes new starts of them", settled).await.unwrap();
    schedules_run_until_the_end(&stack).await;
    for path in next {
        is_migrated(&stack, path, &WHOLE, 0).await;
    }
    for path in ["pre/notified", "pre/lost"] {
        is_migrated(&stack, path, &PRE_CUT_OFF, 0).await;
    }
    for path in ["final/notified", "final/lost"] {
        is_migrated(&stack, path, &FINAL_CUT_OFF, 0).await;
    }
    refused_while_it_is_down(&stack).await;
    nothing_is_held(&stack).await;
    stack.stop().await.unwrap();
}

async fn refused_while_it_is_down(stack: &Stack) {
    let registry = stack.registry().unwrap();
    let down = registry.restart(Restart::Graceful, Duration::from_secs(2));
    let meanwhile = async {
        until("nobody listens", || async { Ok(reqwest::get(registry.url()).await.is_err()) }).await.unwrap();
        repositories(stack, &["down/started", "down/swept"]).await.unwrap();
        let answer = stack.client().start("down/started").await.unwrap();
        assert_eq!(answer.status(), 429);
        stack.functions().tick().await.unwrap();
    };
    let (restarted, ()) = futures::join!(down, meanwhile);
    restarted.unwrap();
    schedules_run_until_the_end(stack).await;
    let refused = ["start_pre_import default>pre_importing", "start_refused pre_importing>default"];
    is_migrated(stack, "down/started", &[&refused[..], &WHOLE].concat(), 0).await;
    is_migrated(stack, "down/swept", &WHOLE, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loses_no_notification_to_a_writer_restart() {
    let stack = stack(2).await;
    let registry = stack.registry().unwrap();
    let paths = ["over/pre", "over/final", "during/pre", "during/final"];
    running_in(&stack, Step::Pre, &["over/pre", "during/pre"]).await;
    running_in(&stack, Step::Final, &["over/final", "during/final"]).await;
    repositories(&stack, &["during/start"]).await.unwrap();

    let before = stack.data_api().journal().len();
    stack.pair().stop_writer().await.unwrap();
    for (id, rule) in registry.rules().list() {
        if rule.repository.is_some_and(|path| path.starts_with("over/")) {
            registry.rules().remove(id);
        }
    }
    let tried = || async {
        let calls = stack.data_api().journal();
        Ok(calls.iter().skip(before).filter(|call| call.outcome.as_ref().is_some_and(|end| !end.ran)).count()
            >= 2)
    };
    until("the writer was tried for the notifications, in vain", tried).await.unwrap();
    stack.pair().start_writer().await.unwrap();
    for path in ["over/pre", "over/final"] {
        until_state(&stack, path, "import_done").await.unwrap();
    }
    let accepted = registry.journal().wait_until(PATIENCE, |journal| {
        let sent = journal.notifications();
        sent.iter().all(|sent| sent.ended.is_some()) && sent.iter().all(|sent| sent.is_accepted())
    });
    assert!(accepted.await, "{:?}", registry.journal().notifications());

    let sent = registry.journal().notifications().len();
    stack.pair().stop_writer().await.unwrap();
    registry.rules().clear();
    let start = stack.client().start("during/start").await.unwrap();
    assert_eq!(start.status(), 503);
    let refused = || async { Ok(registry.journal().notifications().len() >= sent + 2) };
    until("both have been notified", refused).await.unwrap();
    stack.pair().start_writer().await.unwrap();
    quiet(&stack, sent).await;

    schedules_run_until_the_end(&stack).await;
    for path in paths.into_iter().chain(["during/start"]) {
        is_migrated(&stack, path, &WHOLE, 0).await;
        assert_eq!(transitions(&stack, path).await.len(), WHOLE.len());
    }
    nothing_is_held(&stack).await;
    stack.stop().await.unwrap();
}
