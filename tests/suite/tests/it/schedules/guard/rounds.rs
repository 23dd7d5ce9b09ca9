//! A round as a whole: what it takes, in which order, and what it does not let itself be held up by.

use std::{collections::BTreeMap, time::Duration};

use aws_config::{Region, SdkConfig};
use aws_sdk_rdsdata::config::{Credentials, SharedCredentialsProvider};
use local::{
    AS_DEPLOYED, Environment, Function, Stack, StackOptions,
    local_data_api::Fault,
    local_registry::{Effect, Operation, Rule, Status, Step, When},
};
use serde_json::json;
use shared::{
    config::{RegistryConfig, from_source, secrets::SecretReader},
    connections::behavior_version,
    driver::Guardian,
    store::{Lease, Store},
};
use suite::{
    PATIENCE, given, options, push_image, reads, repositories, row, sql, state, until, until_state, writer,
};
use tokio::time::Instant;
use uuid::Uuid;

use super::{found, guard, just, minutes_pass, stack, start, starts};

/// As many rows that the registry knows nothing of and whose images are there.
async fn never_started(stack: &Stack, rows: usize) -> Vec<String> {
    let paths: Vec<String> = (0..rows).map(|number| format!("group/image{number}")).collect();
    for path in &paths {
        push_image(&stack.old_storage().unwrap(), path).unwrap();
        given(stack, path, "pre_importing", Some(Uuid::new_v4())).await.unwrap();
    }
    minutes_pass(stack, 6).await;
    paths
}

fn status_calls(stack: &Stack) -> BTreeMap<String, usize> {
    let mut calls = BTreeMap::new();
    for request in stack.registry().unwrap().journal().requests() {
        if request.operation == Operation::Status {
            *calls.entry(request.path.unwrap_or_default()).or_default() += 1;
        }
    }
    calls
}

#[tokio::test(flavor = "multi_thread")]
async fn looks_at_no_row_early_or_twice() {
    let stack = stack().await;
    given(&stack, "group/image", "pre_importing", Some(Uuid::new_v4())).await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    assert_eq!(guard(&stack).await["hinted"], 0);
    minutes_pass(&stack, 6).await;
    let nonsense = Effect::Answer { status: 500, code: None, detail: None, body: None, when: When::Before };
    stack.registry().unwrap().rules().add(Rule::new(nonsense).operation(Operation::Status));
    let before = row(&stack, "group/image").await.unwrap();
    assert_eq!(guard(&stack).await["unanswered"], 1);
    stack.pair().wait_until_replayed().await.unwrap();
    assert_eq!(guard(&stack).await["hinted"], 0);
    let after = row(&stack, "group/image").await.unwrap();
    assert_eq!(
        (&after["version"], &after["migration_state"]),
        (&before["version"], &before["migration_state"])
    );
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_lags_makes_nobody_look_twice() {
    let stack = stack().await;
    never_started(&stack, 3).await;
    stack.pair().pause_replay().await.unwrap();
    let first = guard(&stack).await;
    assert_eq!((&first["hinted"], &first["taken"]), (&3.into(), &3.into()));
    let second = guard(&stack).await;
    assert_eq!((&second["hinted"], &second["taken"]), (&3.into(), &0.into()));
    stack.pair().resume_replay().await.unwrap();
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_down_is_replaced_by_the_writer() {
    let stack = stack().await;
    let paths = never_started(&stack, 1).await;
    stack.pair().stop_reader().await.unwrap();
    let summary = guard(&stack).await;
    assert_eq!((&summary["hinted_by"], &summary["hinted"]), (&"writer_reader_failed".into(), &1.into()));
    assert_eq!(found(&summary), just("restarted", 1));
    until_state(&stack, &paths[0], "import_done").await.unwrap();
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_down_leaves_the_rows_and_counts_them() {
    let stack = stack().await;
    let paths = never_started(&stack, 2).await;
    let nowhere = |_, environment: &mut Environment| {
        environment.insert("REGISTRY_URL".to_owned(), "http://127.0.0.1:1".to_owned());
    };
    let cut_off = stack.run_functions(&[Function::GuardMigrations], nowhere).await.unwrap();
    let summary = cut_off.invoke_on_schedule(Function::GuardMigrations).await.unwrap();
    assert_eq!((&summary["unanswered"], found(&summary).len()), (&2.into(), 0));
    for path in &paths {
        assert_eq!(state(&stack, path).await.unwrap(), "pre_importing");
    }
    cut_off.stop();
    minutes_pass(&stack, 6).await;
    assert_eq!(found(&guard(&stack).await), just("restarted", 2));
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_row_whose_call_hangs_holds_up_none_of_the_others() {
    let stack = stack().await;
    let paths = never_started(&stack, 20).await;
    let hang = Effect::Hang { milliseconds: 60_000, when: When::Before };
    stack.registry().unwrap().rules().add(Rule::new(hang).repository(&paths[0]));

    let summary = guard(&stack).await;

    assert_eq!((found(&summary), &summary["unanswered"]), (just("restarted", 19), &1.into()));
    for path in &paths[1..] {
        until_state(&stack, path, "import_done").await.unwrap();
    }
    let requests = stack.registry().unwrap().journal().requests();
    let asked = |path: &String| requests.iter().find(|request| request.path.as_ref() == Some(path)).unwrap();
    let given_up = asked(&paths[0]).ended.unwrap();
    // Those of its batch are asked for beside it; that those of the next are, too, is the point.
    assert!(paths[8..].iter().any(|path| asked(path).received < given_up));
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn guards_at_once_look_at_each_row_once() {
    let stack = stack().await;
    let paths = never_started(&stack, 30).await;
    let (one, other) = tokio::join!(guard(&stack), guard(&stack));
    assert_eq!(one["taken"].as_u64().unwrap() + other["taken"].as_u64().unwrap(), 30);
    assert!(status_calls(&stack).values().all(|&calls| calls == 1));
    for path in &paths {
        until_state(&stack, path, "import_done").await.unwrap();
        assert_eq!(starts(&stack, path, Step::Pre).len(), 1);
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn repeats_its_round_until_nothing_is_in_progress() {
    let functions = vec![Function::GuardMigrations, Function::EnqueueMigrations];
    let stack = Stack::start(StackOptions { functions, repeat: AS_DEPLOYED.1, ..options() }).await.unwrap();
    let asks = |sql: &Option<String>| sql.as_ref().is_some_and(|sql| sql.contains("min(repository_id)"));
    let asked = || stack.data_api().journal().iter().filter(|call| asks(&call.sql)).count();
    for (function, times) in [(Function::GuardMigrations, 1), (Function::EnqueueMigrations, 2)] {
        stack.functions().invoke_on_schedule(function).await.unwrap();
        assert_eq!(asked(), times, "{} ends where there is nothing to do", function.name());
    }

    given(&stack, "group/image", "importing", Some(Uuid::new_v4())).await.unwrap();
    let ends = async {
        until("two rounds are over", || async { Ok(asked() == 4) }).await.unwrap();
        sql(&stack, "DELETE FROM container_repositories").await.unwrap();
    };
    let (summary, ()) = tokio::join!(guard(&stack), ends);
    // What was asked when the row went may have been answered without it.
    assert!(summary["hinted"] == 0 && matches!(asked(), 4 | 5), "{summary} after {} questions", asked());
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn scans_the_writer_while_the_reader_stands_still() {
    let stack = stack().await;
    repositories(&stack, &["group/image"]).await.unwrap();
    let registry = stack.registry().unwrap();
    registry.rules().add(Rule::new(Effect::LoseNotification).step(Step::Pre));
    stack.pair().wait_until_replayed().await.unwrap();
    stack.pair().pause_replay().await.unwrap();
    start(&stack, "group/image").await;
    assert!(registry.wait_for_status("group/image", Status::PreImportComplete, PATIENCE).await);
    let earlier = "UPDATE migration_transitions SET created_at = created_at - interval '15 seconds';
        UPDATE container_repositories SET next_check_at = now()";
    sql(&stack, earlier).await.unwrap();

    let round = guard(&stack).await;

    assert_eq!((&round["hinted_by"], found(&round)), (&json!("writer_behind_floor"), just("promoted", 1)));
    until_state(&stack, "group/image", "import_done").await.unwrap();
    stack.pair().resume_replay().await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    assert_eq!(guard(&stack).await["hinted_by"], "reader");
    stack.stop().await.unwrap();
}

/// The guard within this process, for rounds of other lengths than a function's.
async fn guardian(stack: &Stack) -> Guardian {
    let environment = stack.environment(Function::GuardMigrations);
    let settings: RegistryConfig = from_source(&|name: &str| environment.get(name).cloned()).unwrap();
    let credentials = Credentials::new("local", "local", None, None, "the local stack takes any");
    let sdk = SdkConfig::builder()
        .behavior_version(behavior_version())
        .region(Region::new("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(stack.secrets().url())
        .build();
    let writer = writer(stack);
    let guardian = Guardian {
        scan: Store::new(reads(stack)),
        store: Store::new(writer.clone()),
        claims: Store::new(writer),
        registry: settings.connect(&SecretReader::new(&sdk)).await.unwrap(),
        lease: Lease::random(),
    };
    // The first call of a client reads the trusted certificates: no part of a round's time.
    let deadline = Instant::now() + suite::PATIENCE;
    guardian.scan.scan_stuck(1, None, deadline).await.unwrap();
    guardian.store.lease_stuck(&[], guardian.lease, deadline).await.unwrap();
    guardian
}

#[tokio::test(flavor = "multi_thread")]
async fn works_off_fifty_stuck_rows_over_short_rounds() {
    let stack = stack().await;
    let paths = never_started(&stack, 50).await;
    let slow = Effect::Hang { milliseconds: 1_500, when: When::Before };
    stack.registry().unwrap().rules().add(Rule::new(slow).operation(Operation::Status));
    let guardian = guardian(&stack).await;
    let (mut rounds, mut taken) = (0, 0);
    while taken < 50 {
        let summary = guardian.round(Instant::now() + Duration::from_secs(10)).await.unwrap();
        rounds += 1;
        assert!(summary.taken > 0 && rounds <= 10, "{summary:?}");
        assert_eq!(summary.left > 0, taken + summary.taken < 50, "{summary:?}");
        taken += summary.taken;
        assert_eq!(summary.hinted, summary.taken + summary.left, "{summary:?}");
        stack.pair().wait_until_replayed().await.unwrap();
    }
    assert!(rounds > 1);
    for path in &paths {
        until_state(&stack, path, "import_done").await.unwrap();
    }
    assert!(paths.iter().all(|path| starts(&stack, path, Step::Pre).len() == 1));
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_on_a_row_that_has_moved_on_is_void() {
    let stack = stack().await;
    let paths = never_started(&stack, 1).await;
    // The guard's way to the database is its own, and takes no decision until the notification has come.
    let way = stack.further_data_api().await.unwrap();
    way.inject(Fault::resuming(u32::MAX).sql_contains("planned AS MATERIALIZED"));
    let its_own = |_, environment: &mut Environment| {
        environment.insert("AWS_ENDPOINT_URL_RDS_DATA".to_owned(), way.url());
    };
    let guard = stack.run_functions(&[Function::GuardMigrations], its_own).await.unwrap();
    let moves_on = async {
        let decides =
            || async { Ok(way.journal().iter().any(|call| call.outcome.as_ref().is_some_and(|o| o.fault))) };
        until("the guard has decided", decides).await.unwrap();
        let answer = stack.client().notify(&paths[0], "pre_import_canceled", None).await.unwrap();
        assert_eq!(answer.status(), 200);
        way.clear_faults();
    };
    let (summary, ()) = tokio::join!(guard.invoke_on_schedule(Function::GuardMigrations), moves_on);
    let summary = summary.unwrap();
    assert_eq!((&summary["moved_on"], found(&summary).len()), (&1.into(), 0));
    assert_eq!(state(&stack, &paths[0]).await.unwrap(), "import_aborted");
    assert!(starts(&stack, &paths[0], Step::Pre).is_empty());
    guard.stop();
    way.stop().await;
    stack.stop().await.unwrap();
}
