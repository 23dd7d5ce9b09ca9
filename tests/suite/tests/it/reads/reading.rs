//! What is read where an endpoint cannot serve: through a proxy that breaks, on a stack with a reader over TCP.

use std::time::{Duration, Instant};

use local::{
    Client, Environment, Function, FunctionSet, READER_ARN, READER_SECRET_ARN, SIGNING_KEY_SECRET_ARN, Stack,
    StackOptions, Topology, WRITER_ARN,
    postgres_pair::proxy::{Proxy, Way},
};
use reqwest::{Method, Response, StatusCode, header};
use serde_json::Value;
use shared::{
    endpoint::{ReaderStatus, Relation, WriterStatus},
    store::HEALTH_PROBE,
};
use suite::{
    PATIENCE, given, heartbeat_of_an_hour_ago, options, positions::read_with_positions, repositories, row,
    sql, until, until_state,
};
use uuid::Uuid;

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

/// One round of the guard while one row is stuck, which is there since just now: who hinted at how many rows.
async fn hinted(stack: &Stack, functions: &FunctionSet) -> (String, u64) {
    let path = format!("group/{}", Uuid::new_v4());
    let others =
        "UPDATE container_repositories SET next_check_at = now() + interval '1 hour' WHERE slot IS NOT NULL";
    sql(stack, others).await.unwrap();
    given(stack, &path, "importing", None).await.unwrap();
    let since_an_hour = format!(
        "UPDATE container_repositories SET import_started_at = now() - interval '1 hour', next_check_at = NULL
            WHERE path = '{path}'"
    );
    sql(stack, &since_an_hour).await.unwrap();
    let round = functions.invoke_on_schedule(Function::GuardMigrations).await.unwrap();
    (round["hinted_by"].as_str().unwrap().to_owned(), round["hinted"].as_u64().unwrap())
}

/// Processes that know nothing yet: what a process knows holds for a while.
async fn another(stack: &Stack) -> (Client, FunctionSet) {
    let functions = stack.run_functions(&READING, |_, _| {}).await.unwrap();
    (stack.client_of(&functions), functions)
}

fn counted(stack: &Stack, counter: &str) -> usize {
    counted_by(stack.functions(), Function::MigrationStatus, counter)
}

fn counted_by(functions: &FunctionSet, function: Function, counter: &str) -> usize {
    functions.log(function).matches(&format!("\"counter\":\"{counter}\"")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn replaces_a_silent_reader_until_it_comes_back() {
    let stack = stack(Topology::DirectReader, &[]).await;
    let by = |by: &str| (200, by.to_owned());
    let every = [STATUS, "/migrations", "/migrations/summary", "/migrations/history/group/image"];
    let proxies = stack.proxies().unwrap();
    let (client, functions) = another(&stack).await;
    for url in every {
        assert_eq!(served_to(&client, url).await, by("reader"), "{url}");
    }
    proxies.reader.go(Way::Slow(Duration::from_millis(100))).await.unwrap();
    assert_eq!(served_to(&client, STATUS).await, by("reader"), "slow");
    functions.stop();

    // Only the writer has what gets stuck from now on.
    stack.pair().pause_replay().await.unwrap();
    for way in [Way::Down, Way::Silent, Way::CutAfter(20)] {
        proxies.reader.go(way).await.unwrap();
        let (client, functions) = another(&stack).await;
        let fallbacks = || counted_by(&functions, Function::MigrationStatus, "fallback");
        for (before, url) in every.into_iter().enumerate() {
            assert_eq!(served_to(&client, url).await, by("writer_reader_failed"), "{url} {way:?}");
            assert_eq!(fallbacks(), before + 1, "{url} {way:?}");
        }
        assert_eq!(hinted(&stack, &functions).await, ("writer_reader_failed".to_owned(), 1), "{way:?}");
        assert_eq!(counted_by(&functions, Function::GuardMigrations, "fallback"), 1, "{way:?}");

        proxies.reader.go(Way::Open).await.unwrap();
        until("it is read again", || async { Ok(served_to(&client, STATUS).await == by("reader")) })
            .await
            .unwrap();
        functions.stop();
    }
    stack.pair().resume_replay().await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    let (client, functions) = another(&stack).await;
    assert_eq!(hinted(&stack, &functions).await.0, "reader");

    // Without the writer the reader serves; what only the writer could say is refused.
    proxies.writer.go(Way::Down).await.unwrap();
    assert_eq!(served_to(&client, STATUS).await, by("reader"));
    assert_eq!(served_to(&client, &format!("{STATUS}?min_version=99")).await.0, 503);
    proxies.reader.go(Way::Down).await.unwrap();
    assert_eq!(served_to(&client, STATUS).await.0, 503);
    for proxy in [&proxies.writer, &proxies.reader] {
        proxy.go(Way::Open).await.unwrap();
    }
    until("both are back", || async { Ok(served_to(&client, STATUS).await == by("reader")) }).await.unwrap();
    functions.stop();
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
async fn spares_the_writer_and_fails_where_misconfigured() {
    let stack = stack(Topology::DirectReader, &READING).await;
    stack.proxies().unwrap().reader.go(Way::Down).await.unwrap();
    until_one_is_refused(&stack).await;
    stack.proxies().unwrap().reader.go(Way::Open).await.unwrap();

    stack.secrets().put(READER_SECRET_ARN, r#"{"username":"migration_reader","password":"hunter2"}"#);
    // As soon as the reader is asked again.
    let wrong = || async { Ok(served(&stack, STATUS).await.0 == 500) };
    until("the wrong password is noticed", wrong).await.unwrap();
    let fallbacks = counted(&stack, "fallback");
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
const EVERY: [&str; 10] = [
    STATUS,
    "/migrations/status/group/image?min_version=2",
    "/migrations",
    "/migrations/summary",
    "/migrations/history/group/image",
    "/migrations/prefixes",
    "/migrations/attention",
    "/migrations/progress",
    "/migrations/report",
    "/migrations/proof/group/image",
];

#[tokio::test(flavor = "multi_thread")]
async fn replaces_a_lagging_reader_until_it_caught_up() {
    for topology in [Topology::DirectReader, Topology::StandbyCluster] {
        let stack = stack(topology, &READING).await;
        let by = |by: &str| (200, by.to_owned());
        heartbeat_of_an_hour_ago(&stack).await.unwrap();
        stack.pair().wait_until_replayed().await.unwrap();
        for url in EVERY {
            assert_eq!(served(&stack, url).await, by("reader"), "{url} {topology:?}");
        }

        // It lacks a heartbeat, but not for long. And only the writer has what gets stuck from now on.
        stack.pair().pause_replay().await.unwrap();
        heartbeat_of_an_hour_ago(&stack).await.unwrap();
        let young = "UPDATE replica_mark_times SET marked_at = now() - interval '50 seconds'
            WHERE mark = (SELECT mark FROM replica_mark)";
        sql(&stack, young).await.unwrap();
        let (client, functions) = another(&stack).await;
        assert_eq!(served_to(&client, STATUS).await, by("reader"), "{topology:?}");
        assert_eq!(hinted(&stack, &functions).await, ("reader".to_owned(), 0), "{topology:?}");
        functions.stop();

        sql(&stack, &young.replace("50", "61")).await.unwrap();
        let (client, functions) = another(&stack).await;
        for url in EVERY {
            assert_eq!(served_to(&client, url).await, by("writer_reader_lagging"), "{url} {topology:?}");
        }
        assert_eq!(counted_by(&functions, Function::MigrationStatus, "reader_lagging"), EVERY.len());
        assert_eq!(counted_by(&functions, Function::MigrationStatus, "stale_read_avoided"), 0);
        sql(&stack, "UPDATE container_repositories SET version = 5").await.unwrap();
        // The writer has served as many as it does at once: the next one a second later.
        let is_shown = || async { Ok(get(&client, STATUS).await.json::<Value>().await?["version"] == 5) };
        until("what only the writer has is shown", is_shown).await.unwrap();
        assert_eq!(hinted(&stack, &functions).await, ("writer_reader_lagging".to_owned(), 1), "{topology:?}");
        assert_eq!(counted_by(&functions, Function::GuardMigrations, "reader_lagging"), 1);

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
async fn spares_the_writer_past_the_bound_that_operators_set() {
    let stack = stack(Topology::StandbyCluster, &READING).await;
    stack.pair().pause_replay().await.unwrap();
    heartbeat_of_an_hour_ago(&stack).await.unwrap();
    until_one_is_refused(&stack).await;
    let log = stack.functions().log(Function::MigrationStatus);
    assert!(log.contains("the reader lags past the operators' bound"), "{log}");

    // Nothing is shown that is older than the bound: without the writer nothing is.
    let (client, functions) = another(&stack).await;
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
        let (client, functions) = another(&stack).await;
        assert_eq!(served_to(&client, STATUS).await, (200, by.to_owned()), "{change}");
        functions.stop();
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn takes_a_silent_secret_store_for_a_reader_that_is_down() {
    let stack = stack(Topology::DirectReader, &[]).await;
    let port = stack.secrets().url().rsplit(':').next().unwrap().parse().unwrap();
    let way_to_secrets = Proxy::start(port).await.unwrap();
    let url = format!("http://127.0.0.1:{}", way_to_secrets.port());
    // The secret is asked for when a connection is made: each time by a process that has none.
    let another = || async {
        let its_way = |_, environment: &mut Environment| {
            environment.insert("AWS_ENDPOINT_URL_SECRETS_MANAGER".to_owned(), url.clone());
        };
        let functions = stack.run_functions(&READING, its_way).await.unwrap();
        (stack.client_of(&functions), functions)
    };
    let by = |by: &str| (200, by.to_owned());

    for way in [Way::Down, Way::Silent] {
        // A token and the signing key are read when a process begins: each has its own by then.
        let before = stack.secrets().asked(SIGNING_KEY_SECRET_ARN);
        let (client, functions) = another().await;
        let has_begun = || async { Ok(stack.secrets().asked(SIGNING_KEY_SECRET_ARN) > before) };
        until("the guard has its key", has_begun).await.unwrap();
        way_to_secrets.go(way).await.unwrap();
        assert_eq!(served_to(&client, STATUS).await, by("writer_reader_failed"), "{way:?}");
        assert_eq!(counted_by(&functions, Function::MigrationStatus, "fallback"), 1, "{way:?}");
        // The guard needs the signing key as well, and waits for a store that says nothing.
        if way == Way::Down {
            assert_eq!(hinted(&stack, &functions).await, ("writer_reader_failed".to_owned(), 1));
        }
        way_to_secrets.go(Way::Open).await.unwrap();
        until("it is read again", || async { Ok(served_to(&client, STATUS).await == by("reader")) })
            .await
            .unwrap();
        functions.stop();
    }
    for (status, code) in
        [(500, "InternalServiceError"), (503, "ServiceUnavailable"), (400, "ThrottlingException")]
    {
        let (client, functions) = another().await;
        stack.secrets().refuse(Some((StatusCode::from_u16(status).unwrap(), code)));
        assert_eq!(served_to(&client, STATUS).await, by("writer_reader_failed"), "{code}");
        stack.secrets().refuse(None);
        functions.stop();
    }
    // What is wrong is no reason to ask elsewhere, and is right as soon as it was put right.
    let (client, functions) = another().await;
    for code in ["AccessDeniedException", "ResourceNotFoundException", "DecryptionFailure"] {
        stack.secrets().refuse(Some((StatusCode::BAD_REQUEST, code)));
        assert_eq!(served_to(&client, STATUS).await.0, 500, "{code}");
        stack.secrets().refuse(None);
    }
    stack.secrets().put(READER_SECRET_ARN, "migration_reader:local");
    assert_eq!(served_to(&client, STATUS).await.0, 500, "no username and password");
    stack.secrets().put(READER_SECRET_ARN, r#"{"username":"migration_reader","password":"local"}"#);
    assert_eq!(served_to(&client, STATUS).await, by("reader"));
    assert_eq!(counted_by(&functions, Function::MigrationStatus, "fallback"), 0);
    functions.stop();
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_take_the_reader_out_and_nobody_asks_it() {
    let stack = stack(Topology::DirectReader, &[]).await;
    sql(&stack, "UPDATE migration_settings SET reader_enabled = false, version = version + 1").await.unwrap();
    let off = || "writer_reader_off".to_owned();
    // Whether or not it works, and whatever it knows of the switch.
    for way in [Way::Open, Way::Down, Way::Silent] {
        stack.proxies().unwrap().reader.go(way).await.unwrap();
        let (client, functions) = another(&stack).await;
        assert_eq!(served_to(&client, STATUS).await, (200, off()), "{way:?}");
        assert_eq!(hinted(&stack, &functions).await, (off(), 1), "{way:?}");
        assert_eq!(counted_by(&functions, Function::MigrationStatus, "fallback"), 0);
        functions.stop();
    }
    let connected = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'migration_reader'";
    let reader = stack.pair().reader().connect().await.unwrap();
    assert_eq!(reader.query_one(connected, &[]).await.unwrap().get::<_, i64>(0), 0, "it was asked");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_swapped_endpoints_until_the_failover_ends() {
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
async fn tells_two_servers_from_one() {
    let stack = stack(Topology::Single, &[Function::MigrationStatus]).await;
    for _ in 0..3 {
        assert_eq!(served(&stack, STATUS).await, (200, "reader".to_owned()));
    }
    assert_eq!(counted(&stack, "endpoints_collapsed"), 1, "allowed, and said once");

    let soon = || tokio::time::Instant::now() + Duration::from_secs(5);
    let (reader, writer) = (suite::reader(&stack), suite::read_only_writer(&stack));
    let relation = || async {
        let writer: WriterStatus = writer.fetch(HEALTH_PROBE.writer, soon()).await.unwrap().remove(0);
        let reader: ReaderStatus = reader.fetch(HEALTH_PROBE.reader, soon()).await.unwrap().remove(0);
        (Relation::of(&writer.identity, &reader.identity), writer.identity.server)
    };
    assert_eq!(relation().await.0, Relation::Distinct, "a primary and its standby");
    let name = "CREATE FUNCTION aurora_db_instance_identifier() RETURNS text LANGUAGE sql AS";
    sql(&stack, &format!("{name} $$ SELECT 'instance-' || pg_is_in_recovery() $$")).await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    assert_eq!(relation().await, (Relation::Distinct, "instance-false".to_owned()));
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_304_and_never_older_than_cached() {
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
async fn shows_nobody_less_than_they_have_seen() {
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
    assert_eq!(connected(), 2, "one for rows, one for its health");
    assert_eq!(row(&stack, "group/small").await.unwrap()["migration_state"], "import_done");
    status.stop();
    stack.stop().await.unwrap();
}
