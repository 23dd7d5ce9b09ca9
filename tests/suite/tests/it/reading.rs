//! What is read where an endpoint cannot serve: through a proxy that breaks, on a stack with a reader over TCP.

use std::time::{Duration, Instant};

use local::{
    Client, Environment, Function, FunctionSet, READER_ARN, READER_SECRET_ARN, Stack, StackOptions, Topology,
    WRITER_ARN,
    postgres_pair::proxy::{Proxy, Way},
};
use reqwest::{Method, Response, StatusCode, header};
use serde_json::Value;
use shared::{endpoint::Relation, store};
use suite::{
    PATIENCE, given, mark_of_an_hour_ago, options, positions::read_with_positions, repositories, row, sql,
    until, until_state,
};

const READING: [Function; 2] = [Function::MigrationStatus, Function::GuardMigrations];
const STATUS: &str = "/migrations/status/group/image";

/// The longest answer: the handler's budget and what a busy machine adds.
const LONGEST: Duration = Duration::from_millis(9500);

async fn stack(topology: Topology, functions: &[Function]) -> Stack {
    let functions = functions.to_vec();
    let stack = Stack::start(StackOptions { topology, functions, instances: 1, proxies: true, ..options() })
        .await
        .unwrap();
    given(&stack, "group/image", "importing", None).await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    stack
}

async fn get(client: &Client, url: &str) -> Response {
    let began = Instant::now();
    let answer = client.as_operator(Method::GET, url).send().await.unwrap();
    assert!(began.elapsed() < LONGEST, "{url} took {:?}", began.elapsed());
    answer
}

/// How it was answered, and by whom.
async fn served(stack: &Stack, url: &str) -> (u16, String) {
    served_to(&stack.client(), url).await
}

async fn served_to(client: &Client, url: &str) -> (u16, String) {
    let answer = get(client, url).await;
    let status = answer.status().as_u16();
    let retry = answer.headers().contains_key(header::RETRY_AFTER);
    assert_eq!(retry, status == 503, "{url}");
    let body: Value = answer.json().await.unwrap();
    (status, body["served_by"].as_str().unwrap_or_default().to_owned())
}

async fn scan_is_skipped(stack: &Stack) -> bool {
    let round = stack.functions().invoke_on_schedule(Function::GuardMigrations).await.unwrap();
    round["scan_skipped"].as_bool().unwrap()
}

fn counted(stack: &Stack, counter: &str) -> usize {
    counted_by(stack.functions(), Function::MigrationStatus, counter)
}

fn counted_by(functions: &FunctionSet, function: Function, counter: &str) -> usize {
    functions.log(function).matches(&format!("\"counter\":\"{counter}\"")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_down_silent_slow_or_cut_is_replaced_by_the_writer_and_comes_back() {
    let stack = stack(Topology::DirectReader, &READING).await;
    let reader = |by: &str| (200, by.to_owned());
    let every = [STATUS, "/migrations", "/migrations/summary", "/migrations/history/group/image"];
    for url in every {
        assert_eq!(served(&stack, url).await, reader("reader"), "{url}");
    }
    for way in [Way::Down, Way::Silent, Way::CutAfter(20)] {
        stack.proxies().unwrap().reader.go(way).await.unwrap();
        // A silent one takes its whole share of the time: two are enough.
        for url in if way == Way::Silent { &every[..2] } else { &every[..] } {
            let before = counted(&stack, "fallback");
            assert_eq!(served(&stack, url).await, reader("writer_reader_failed"), "{url} {way:?}");
            assert_eq!(counted(&stack, "fallback"), before + 1, "{url} {way:?}");
        }
        if way == Way::Down {
            assert!(scan_is_skipped(&stack).await);
        }
        stack.proxies().unwrap().reader.go(Way::Open).await.unwrap();
        assert_eq!(served(&stack, STATUS).await, reader("reader"), "after {way:?}");
    }
    stack.proxies().unwrap().reader.go(Way::Slow(Duration::from_millis(100))).await.unwrap();
    assert_eq!(served(&stack, STATUS).await, reader("reader"), "slow");
    stack.proxies().unwrap().reader.go(Way::Open).await.unwrap();
    assert!(!scan_is_skipped(&stack).await);

    // Without the writer the reader serves; what only the writer could say is refused.
    stack.proxies().unwrap().writer.go(Way::Down).await.unwrap();
    assert_eq!(served(&stack, STATUS).await, reader("reader"));
    assert_eq!(served(&stack, &format!("{STATUS}?min_version=99")).await.0, 503);
    stack.proxies().unwrap().reader.go(Way::Down).await.unwrap();
    assert_eq!(served(&stack, STATUS).await.0, 503);
    for proxy in [&stack.proxies().unwrap().writer, &stack.proxies().unwrap().reader] {
        proxy.go(Way::Open).await.unwrap();
    }
    assert_eq!(served(&stack, STATUS).await, reader("reader"));
    stack.stop().await.unwrap();
}

/// Reads until the writer has had its share of what the reader does not serve.
async fn until_one_is_refused(stack: &Stack) {
    let began = Instant::now();
    let mut by_the_writer = 0;
    let mut refused = 0;
    while refused == 0 {
        match served(stack, STATUS).await.0 {
            200 => by_the_writer += 1,
            503 => refused += 1,
            other => panic!("{other}"),
        }
        assert!(began.elapsed() < PATIENCE, "the writer served {by_the_writer}");
        let most = 10 + began.elapsed().as_secs() + 1;
        assert!(by_the_writer <= most, "{by_the_writer} in {:?}", began.elapsed());
    }
    assert!(by_the_writer >= 10, "{by_the_writer}");
    assert_eq!(counted(stack, "fallback_refused"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_writer_is_protected_from_everybodys_fallback_and_a_misconfiguration_is_loud() {
    let stack = stack(Topology::DirectReader, &READING).await;
    stack.proxies().unwrap().reader.go(Way::Down).await.unwrap();
    until_one_is_refused(&stack).await;
    stack.proxies().unwrap().reader.go(Way::Open).await.unwrap();

    let fallbacks = counted(&stack, "fallback");
    stack.secrets().put(READER_SECRET_ARN, r#"{"username":"migration_reader","password":"hunter2"}"#);
    assert_eq!(served(&stack, STATUS).await.0, 500, "a wrong password");
    let round = stack.functions().invoke_on_schedule(Function::GuardMigrations).await;
    assert!(round.unwrap_err().to_string().contains("misconfigured"), "the guard fails with it");
    stack.secrets().put(READER_SECRET_ARN, r#"{"username":"migration_reader","password":"local"}"#);
    assert_eq!(served(&stack, STATUS).await, (200, "reader".to_owned()));
    sql(&stack, "ALTER TABLE container_repositories RENAME TO elsewhere").await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    assert_eq!(served(&stack, STATUS).await.0, 500, "a missing table");
    assert_eq!(counted(&stack, "fallback"), fallbacks, "neither is a reason to ask elsewhere");
    let log = stack.functions().log(Function::MigrationStatus);
    assert!(log.contains("28P01") && log.contains("42P01") && !log.contains("hunter2"));
    stack.stop().await.unwrap();
}

/// Everything that is read on the reader, each with what its caller names.
const EVERY: [&str; 5] = [
    STATUS,
    "/migrations/status/group/image?min_version=2",
    "/migrations",
    "/migrations/summary",
    "/migrations/history/group/image",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_lags_past_its_bound_is_replaced_by_the_writer_until_it_has_caught_up() {
    for topology in [Topology::DirectReader, Topology::StandbyCluster] {
        let stack = stack(topology, &READING).await;
        // What a process knows holds for a while: one that knows nothing yet.
        let another = || async {
            let functions = stack.run_functions(&READING, |_, _| {}).await.unwrap();
            (stack.client_of(&functions), functions)
        };
        let by = |by: &str| (200, by.to_owned());
        sql(&stack, "UPDATE container_repositories SET next_check_at = NULL").await.unwrap();
        mark_of_an_hour_ago(&stack).await.unwrap();
        stack.pair().wait_until_replayed().await.unwrap();
        for url in EVERY {
            assert_eq!(served(&stack, url).await, by("reader"), "{url} {topology:?}");
        }

        // It lacks a mark, but not for long.
        stack.pair().pause_replay().await.unwrap();
        mark_of_an_hour_ago(&stack).await.unwrap();
        let young = "UPDATE replica_mark_times SET marked_at = now() - interval '50 seconds'
            WHERE mark = (SELECT mark FROM replica_mark)";
        sql(&stack, young).await.unwrap();
        let (client, functions) = another().await;
        assert_eq!(served_to(&client, STATUS).await, by("reader"), "{topology:?}");
        functions.invoke_on_schedule(Function::GuardMigrations).await.unwrap();
        assert_eq!(counted_by(&functions, Function::GuardMigrations, "stale_scan_lagging"), 0);
        functions.stop();

        sql(&stack, &young.replace("50", "61")).await.unwrap();
        let (client, functions) = another().await;
        for url in EVERY {
            assert_eq!(served_to(&client, url).await, by("writer_reader_lagging"), "{url} {topology:?}");
        }
        assert_eq!(counted_by(&functions, Function::MigrationStatus, "reader_lagging"), EVERY.len());
        assert_eq!(counted_by(&functions, Function::MigrationStatus, "stale_read_avoided"), 0);
        sql(&stack, "UPDATE container_repositories SET version = 5").await.unwrap();
        let shown: Value = get(&client, STATUS).await.json().await.unwrap();
        assert_eq!(shown["version"], 5, "{shown}");
        // A hint is a hint: what is stuck is decided on the writer.
        sql(&stack, "UPDATE container_repositories SET next_check_at = NULL").await.unwrap();
        let round = functions.invoke_on_schedule(Function::GuardMigrations).await.unwrap();
        assert_eq!((&round["scan_skipped"], &round["hinted"]), (&false.into(), &1.into()), "{round}");
        assert_eq!(counted_by(&functions, Function::GuardMigrations, "stale_scan_lagging"), 1);

        // The same process reads on it again once it has caught up.
        stack.pair().resume_replay().await.unwrap();
        until("the reader is read again", || async { Ok(served_to(&client, STATUS).await == by("reader")) })
            .await
            .unwrap();
        functions.stop();
        stack.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_bound_the_writer_is_protected_too_and_operators_decide_whether_there_is_one() {
    let stack = stack(Topology::StandbyCluster, &READING).await;
    stack.pair().pause_replay().await.unwrap();
    mark_of_an_hour_ago(&stack).await.unwrap();
    until_one_is_refused(&stack).await;
    let log = stack.functions().log(Function::MigrationStatus);
    assert!(log.contains("the reader lags past the operators' bound"), "{log}");

    // Nothing is shown that is older than the bound: without the writer nothing is.
    let another = || async { stack.run_functions(&[Function::MigrationStatus], |_, _| {}).await.unwrap() };
    let functions = another().await;
    let client = stack.client_of(&functions);
    assert_eq!(served_to(&client, STATUS).await, (200, "writer_reader_lagging".to_owned()));
    stack.proxies().unwrap().writer.go(Way::Down).await.unwrap();
    assert_eq!(served_to(&client, STATUS).await.0, 503);
    stack.proxies().unwrap().writer.go(Way::Open).await.unwrap();
    functions.stop();

    for (change, by) in [
        ("reader_enabled = false", "writer_reader_off"),
        ("reader_enabled = true, reader_lag_bound_seconds = 0", "reader"),
        ("reader_lag_bound_seconds = 3600", "writer_reader_lagging"),
    ] {
        sql(&stack, &format!("UPDATE migration_settings SET {change}")).await.unwrap();
        let functions = another().await;
        assert_eq!(served_to(&stack.client_of(&functions), STATUS).await, (200, by.to_owned()), "{change}");
        functions.stop();
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_store_that_does_not_answer_is_a_reader_that_cannot_serve_and_one_that_refuses_is_loud() {
    let stack = stack(Topology::DirectReader, &[]).await;
    let port = stack.secrets().url().rsplit(':').next().unwrap().parse().unwrap();
    let way_to_secrets = Proxy::start(port).await.unwrap();
    let url = format!("http://127.0.0.1:{}", way_to_secrets.port());
    let functions = stack
        .run_functions(&READING, |_, environment| {
            environment.insert("AWS_ENDPOINT_URL_SECRETS_MANAGER".to_owned(), url.clone());
        })
        .await
        .unwrap();
    let client = stack.client_of(&functions);
    let by = |by: &str| (200, by.to_owned());
    let fallbacks = || counted_by(&functions, Function::MigrationStatus, "fallback");
    let superuser = stack.pair().reader().connect().await.unwrap();
    // The secret is asked for when a connection is made, so none may be left.
    let disconnect = async || {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'migration_reader'";
        superuser.batch_execute(end).await.unwrap();
        let left = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'migration_reader'";
        until("nobody is connected", || async {
            Ok(superuser.query_one(left, &[]).await?.get::<_, i64>(0) == 0)
        })
        .await
        .unwrap();
    };
    let read_again = async |after: &str| {
        assert_eq!(served_to(&client, STATUS).await, by("reader"), "after {after}");
        disconnect().await;
    };

    for way in [Way::Down, Way::Silent] {
        way_to_secrets.go(way).await.unwrap();
        let before = fallbacks();
        assert_eq!(served_to(&client, STATUS).await, by("writer_reader_failed"), "{way:?}");
        assert_eq!(fallbacks(), before + 1, "{way:?}");
        if way == Way::Down {
            let round = functions.invoke_on_schedule(Function::GuardMigrations).await.unwrap();
            assert_eq!(round["scan_skipped"], true, "{round}");
        }
        way_to_secrets.go(Way::Open).await.unwrap();
        read_again(&format!("{way:?}")).await;
    }
    for (status, code) in
        [(500, "InternalServiceError"), (503, "ServiceUnavailable"), (400, "ThrottlingException")]
    {
        stack.secrets().refuse(Some((StatusCode::from_u16(status).unwrap(), code)));
        assert_eq!(served_to(&client, STATUS).await, by("writer_reader_failed"), "{code}");
        stack.secrets().refuse(None);
        read_again(code).await;
    }
    let before = fallbacks();
    for code in ["AccessDeniedException", "ResourceNotFoundException", "DecryptionFailure"] {
        stack.secrets().refuse(Some((StatusCode::BAD_REQUEST, code)));
        assert_eq!(served_to(&client, STATUS).await.0, 500, "{code}");
        let round = functions.invoke_on_schedule(Function::GuardMigrations).await;
        assert!(round.unwrap_err().to_string().contains("misconfigured"), "{code}");
        stack.secrets().refuse(None);
        read_again(code).await;
    }
    stack.secrets().put(READER_SECRET_ARN, "migration_reader:local");
    assert_eq!(served_to(&client, STATUS).await.0, 500, "no username and password");
    assert_eq!(fallbacks(), before, "none of them is a reason to ask elsewhere");
    functions.stop();
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_take_the_reader_out_without_a_deployment() {
    let stack = stack(Topology::DirectReader, &READING).await;
    let change = "UPDATE migration_settings SET reader_enabled = false, version = version + 1";
    sql(&stack, change).await.unwrap();
    sql(&stack, "UPDATE container_repositories SET next_check_at = NULL").await.unwrap();
    // Whether or not it works, and whatever it knows of the switch.
    for way in [Way::Open, Way::Down] {
        stack.proxies().unwrap().reader.go(way).await.unwrap();
        assert_eq!(served(&stack, STATUS).await, (200, "writer_reader_off".to_owned()), "{way:?}");
    }
    let round = stack.functions().invoke_on_schedule(Function::GuardMigrations).await.unwrap();
    assert_eq!((&round["scan_skipped"], &round["hinted"]), (&false.into(), &1.into()), "{round}");
    assert_eq!(counted(&stack, "fallback"), 0);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_are_swapped_are_refused_until_the_failover_is_over() {
    let stack = stack(Topology::StandbyCluster, &[Function::MigrationStatus]).await;
    let swapped = |_, environment: &mut Environment| {
        environment.insert("WRITER_ARN".to_owned(), READER_ARN.to_owned());
        if environment.contains_key("READER_ARN") {
            environment.insert("READER_ARN".to_owned(), WRITER_ARN.to_owned());
        }
    };
    let functions = [Function::MigrationStatus, Function::RegistryNotification];
    let functions = stack.run_functions(&functions, swapped).await.unwrap();
    let client = stack.client_of(&functions);
    let newer = format!("{STATUS}?min_version=3");
    let status = || async { client.as_operator(Method::GET, &newer).send().await.unwrap().status() };
    let notified = || async { client.notify("group/image", "import_complete", None).await.unwrap().status() };
    assert_eq!(status().await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(notified().await, StatusCode::SERVICE_UNAVAILABLE);
    let log = functions.log(Function::MigrationStatus);
    assert!(log.contains("\"counter\":\"endpoints_inverted\""), "{log}");

    // The replica becomes the primary, the old one is gone.
    stack.pair().promote_reader().await.unwrap();
    stack.pair().stop_writer().await.unwrap();
    assert_eq!(notified().await, StatusCode::OK);
    assert_eq!(status().await, StatusCode::OK);
    functions.stop();
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_are_told_from_one_by_postgresql_and_by_auroras_own_name() {
    let stack = stack(Topology::Single, &[Function::MigrationStatus]).await;
    for _ in 0..3 {
        assert_eq!(served(&stack, STATUS).await, (200, "reader".to_owned()));
    }
    assert_eq!(counted(&stack, "endpoints_collapsed"), 1, "allowed, and said once");

    let soon = || tokio::time::Instant::now() + Duration::from_secs(5);
    let (reader, writer) = (suite::reader(&stack), suite::read_only_writer(&stack));
    let relation = || async {
        let standing = store::standing(&writer, soon()).await.unwrap().unwrap();
        let seen = store::seen(&reader, soon()).await.unwrap().unwrap();
        (Relation::of(&standing.identity, &seen.identity), standing.identity.server)
    };
    assert_eq!(relation().await.0, Relation::Distinct, "a primary and its standby");
    let name = "CREATE FUNCTION aurora_db_instance_identifier() RETURNS text LANGUAGE sql AS";
    sql(&stack, &format!("{name} $$ SELECT 'instance-' || pg_is_in_recovery() $$")).await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    assert_eq!(relation().await, (Relation::Distinct, "instance-false".to_owned()));
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_has_cached_is_not_sent_again_and_never_replaced_by_something_older() {
    let stack = stack(Topology::DirectReader, &[Function::MigrationStatus]).await;
    let cached = async |tag: &str| {
        let asked = stack.client().as_operator(Method::GET, STATUS).header(header::IF_NONE_MATCH, tag);
        let answer = asked.send().await.unwrap();
        let tag = answer.headers()[header::ETAG].to_str().unwrap().to_owned();
        (answer.status().as_u16(), tag, answer.text().await.unwrap())
    };
    let (status, tag, _) = cached("\"other\"").await;
    assert_eq!((status, tag.as_str()), (200, "\"2\""));
    assert_eq!(cached(&tag).await, (304, tag.clone(), String::new()));
    assert_eq!(cached(&format!("W/{tag}")).await.0, 304);

    stack.pair().pause_replay().await.unwrap();
    sql(&stack, "UPDATE container_repositories SET version = 5").await.unwrap();
    assert_eq!(cached("\"2\"").await.0, 304, "the reader knows nothing newer");
    let (status, tag, body) = cached("\"4\"").await;
    assert_eq!((status, tag.as_str()), (200, "\"5\""));
    assert!(body.contains("writer_behind_floor"), "{body}");
    // A repository that was registered anew begins again: what was cached of the other is not an error.
    assert_eq!(cached("\"99\"").await.0, 200);
    stack.pair().resume_replay().await.unwrap();
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn however_far_the_reader_is_behind_nobody_is_shown_less_than_they_have_seen() {
    let stack = stack(Topology::DirectReader, &[Function::MigrationStatus]).await;
    let mut by_the_reader = Vec::new();
    for lag in [0, 20] {
        stack.pair().set_lag(Duration::from_millis(lag)).await.unwrap();
        by_the_reader.push(read_with_positions(&stack, 100, 2).await.unwrap().by_the_reader);
    }
    stack.pair().pause_replay().await.unwrap();
    by_the_reader.push(read_with_positions(&stack, 100, 2).await.unwrap().by_the_reader);
    assert_eq!(by_the_reader[2], 0, "{by_the_reader:?}");
    stack.pair().resume_replay().await.unwrap();
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_connects_to_the_reader_for_a_notification() {
    let functions = [Function::StartMigration, Function::RegistryNotification];
    let options = StackOptions {
        topology: Topology::DirectReader,
        functions: functions.to_vec(),
        instances: 1,
        ..options()
    };
    let stack = Stack::start(options).await.unwrap();
    repositories(&stack, &["group/small"]).await.unwrap();
    stack.client().start("group/small").await.unwrap();
    until_state(&stack, "group/small", "import_done").await.unwrap();
    let connected = || stack.pair().reader().log().unwrap().matches("user=migration_").count();
    assert_eq!(connected(), 0);

    // It would have been seen: a function that reads is.
    let status = stack.run_functions(&[Function::MigrationStatus], |_, _| {}).await.unwrap();
    let url = "/migrations/status/group/small";
    stack.client_of(&status).as_operator(Method::GET, url).send().await.unwrap();
    assert_eq!(connected(), 1);
    assert_eq!(row(&stack, "group/small").await.unwrap()["migration_state"], "import_done");
    status.stop();
    stack.stop().await.unwrap();
}
