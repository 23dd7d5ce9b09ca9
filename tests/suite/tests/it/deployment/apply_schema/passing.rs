use std::time::{Duration, Instant};

use local::{
    DATABASE,
    local_data_api::{Effect, ErrorCode, Fault, Operation, When},
};
use shared::{
    endpoint::ErrorClass,
    store::schema::{SchemaError, scripts},
};

use super::bench::{Bench, history, in_time, roles};

fn cut(when: When) -> Effect {
    Effect::Cut { when }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_passes_is_waited_for_and_nothing_is_applied_twice() {
    let bench = Bench::start().await;
    let commit = |effect| Fault::new(effect).operation(Operation::CommitTransaction).times(1);
    let statement = |effect| Fault::new(effect).sql_contains("CREATE TABLE migration_transitions").times(1);
    let bad_gateway = |when| Effect::Status { status: 502, when };
    for (database, fault) in [
        ("sleeping", Fault::resuming(4)),
        ("throttled", Fault::throttled(2)),
        ("statement_lost", statement(cut(When::Before))),
        ("statement_unknown", statement(cut(When::After))),
        ("commit_lost", commit(cut(When::Before))),
        ("commit_unknown", commit(cut(When::After))),
        ("commit_of_a_proxy", commit(bad_gateway(When::After))),
        ("commit_half_answered", commit(Effect::HalfAnswer)),
    ] {
        bench.database(database).await;
        bench.api.inject(fault);
        let applied =
            bench.apply(database, &scripts()).await.unwrap_or_else(|error| panic!("{database}: {error}"));
        assert_eq!(applied.newest, scripts().last().unwrap().name, "{database}");
        assert_eq!(history(&bench, database).await.len(), scripts().len(), "{database}");
        assert_eq!(
            bench.ask(database, "SELECT count(*)::text FROM migration_settings").await,
            "1",
            "{database}"
        );
        assert_eq!(bench.api.open_transactions(), 0, "{database}");
        bench.api.clear_faults();
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_until_everybody_has_heard_of_what_is_new() {
    let bench = Bench::start().await;
    let not_yet = |code| Fault::new(Effect::Error { code, when: When::Before }).times(4);
    let (scripts, roles) = (scripts(), roles("driver-1", "reader-1"));
    let patience = in_time(Duration::from_secs(60));

    bench.api.inject(not_yet(ErrorCode::AccessDeniedException));
    bench.store(DATABASE).apply(&scripts, 0, &roles, patience).await.unwrap();

    let code = ErrorCode::HttpEndpointNotEnabledException;
    bench.api.inject(not_yet(code));
    bench.store(DATABASE).apply(&scripts, 0, &roles, patience.for_what_is_new()).await.unwrap();
    // A cluster that was there before is not waited for: its address is wrong.
    bench.api.inject(not_yet(code));
    bench.store(DATABASE).apply(&scripts, 0, &roles, patience).await.unwrap_err();
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn applies_each_script_in_one_of_two_runs_at_once() {
    let bench = Bench::start().await;
    let all: Vec<&str> = scripts().iter().map(|script| script.name).collect();
    let scripts = scripts();
    let (one, other) = tokio::join!(bench.apply(DATABASE, &scripts), bench.apply(DATABASE, &scripts));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!((&one.newest, &other.newest), (&other.newest, &all.last().unwrap().to_string()));
    let mut applied = [one.applied, other.applied].concat();
    applied.sort_unstable();
    assert_eq!(applied, all);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_for_a_dead_run_that_left_nothing() {
    let bench = Bench::start().await;
    bench.api.inject(
        Fault::new(Effect::Hang { when: When::After })
            .sql_contains("CREATE TABLE migration_settings")
            .times(1),
    );
    let scripts = scripts();
    // It is dropped while its transaction is open, as when a sandbox is lost.
    let hung = bench.apply(DATABASE, &scripts);
    tokio::select! {
        ended = hung => panic!("it ended: {ended:?}"),
        seen = suite::until("it is in the middle", async || {
            let asked = |call: &local::local_data_api::Call| {
                call.sql.as_ref().is_some_and(|sql| sql.starts_with("CREATE TABLE migration_settings"))
            };
            Ok(bench.api.journal().iter().any(asked))
        }) => seen.unwrap(),
    }
    assert_eq!(bench.api.open_transactions(), 1);
    let applied = bench.apply(DATABASE, &scripts).await.unwrap();
    assert_eq!(applied.applied.len(), scripts.len());
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_never_answers_is_given_up_in_time() {
    let bench = Bench::start().await;
    for fault in [
        Fault::new(Effect::Hang { when: When::Before }),
        Fault::new(Effect::Hang { when: When::Before }).operation(Operation::ExecuteStatement),
        Fault::resuming(10_000),
    ] {
        bench.api.inject(fault);
        let (began, time) = (Instant::now(), Duration::from_secs(1));
        let roles = roles("driver-1", "reader-1");
        let error = bench.store(DATABASE).apply(&scripts(), 0, &roles, in_time(time)).await.unwrap_err();
        // Far below the time that one call may take.
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}: {error}", began.elapsed());
        let SchemaError::Failed { failure, .. } = error else { panic!("{error}") };
        assert!(matches!(failure.class, ErrorClass::Timeout | ErrorClass::Resuming), "{failure}");
        bench.api.clear_faults();
    }
    bench.stop().await;
}
