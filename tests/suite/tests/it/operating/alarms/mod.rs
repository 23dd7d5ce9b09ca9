//! The runbook, followed for every alarm of the template: a fault is made, the alarm's own expression rings over the data
//! points of that time, the command of the handbook is run, and the alarm is silent again. Where the data points come from:
//!
//! * `OBSERVED`: the lines that `observe-migrations` writes.
//! * `COUNTED`: the functions' logs through the template's metric filters. The gateway's access log is AWS's: here a line is
//!   made for each request, in the template's own format. Errors and invocations of functions, which Lambda counts, are
//!   counted as the functions are invoked.
//! * `EMITTED`: AWS alone emits these, and nothing here can bring them about in good time. The numbers are made. That failed
//!   runs come into the queue shows the rehearsal, on an emulator.

mod cloudwatch;
mod filters;

use std::{collections::BTreeSet, time::Instant};

use local::{
    Environment, Function, FunctionSet, READER_ARN, SIGNING_KEY_SECRET_ARN, Stack, StackOptions, WRITER_ARN,
    local_data_api::{Effect, Fault, When},
    postgres_pair::proxy::Way,
};
use reqwest::{Method, RequestBuilder};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use suite::{PATIENCE, given, options, primary, repositories, sql, until, until_state};

use self::cloudwatch::{Logs, Period, value};
use super::{command, say_schema_version};
use crate::{
    deployment::template::document::{Template, text},
    schedules::observation::emf::{Metrics, metrics},
};

const OBSERVED: [&str; 5] =
    ["TagsMissingAlarm", "StuckAlarm", "BreakerOpenAlarm", "ReplicaLagAlarm", "NothingObservedAlarm"];
const COUNTED: [&str; 13] = [
    "ReaderUnavailableAlarm",
    "WriterFallbackAlarm",
    "FallbackRefusedAlarm",
    "EndpointsInvertedAlarm",
    "EndpointsCollapsedAlarm",
    "OutcomeUnknownAlarm",
    "SecretUnreadAlarm",
    "RegistrySilentAlarm",
    "NotificationsRefusedAlarm",
    "NotificationsUnauthorizedAlarm",
    "NotificationsSlowAlarm",
    "FunctionErrorsAlarm",
    "SchedulesSilentAlarm",
];
const EMITTED: [&str; 3] = ["FunctionThrottlesAlarm", "FunctionsSlowAlarm", "ScheduleFailuresAlarm"];
const STATUS: &str = "/migrations/status/group/image";

#[test]
fn follows_every_alarm_of_the_template() {
    let template = Template::read();
    let all: BTreeSet<&str> = template.resources("AWS::CloudWatch::Alarm").into_keys().collect();
    assert_eq!(OBSERVED.into_iter().chain(COUNTED).chain(EMITTED).collect::<BTreeSet<_>>(), all);
}

/// Which alarms have rung, and which of them were silent afterwards.
#[derive(Default)]
struct Followed {
    rang: BTreeSet<&'static str>,
    healed: BTreeSet<&'static str>,
}

impl Followed {
    fn ring(&mut self, period: &Period, names: &[&'static str]) {
        for name in names {
            assert!(period.rings(name), "{name} does not ring: {period:?}");
            self.rang.insert(name);
        }
    }

    fn heal(&mut self, period: &Period, names: &[&'static str]) {
        for name in names {
            assert!(self.rang.contains(name), "{name} has not rung");
            assert!(!period.rings(name), "{name} still rings: {period:?}");
            self.healed.insert(name);
        }
    }

    fn end(self, all: &[&'static str]) {
        assert_eq!(self.healed, all.iter().copied().collect(), "what was followed to its end");
    }
}

#[test]
fn rings_by_what_aws_alone_emits() {
    let mut followed = Followed::default();
    for (name, metric, of, quiet, bad) in [
        ("FunctionThrottlesAlarm", "Throttles", "RegistryNotification", 0.0, 1.0),
        ("FunctionsSlowAlarm", "Duration", "MigrationStatus", 25_000.0, 28_000.0),
        (
            "ScheduleFailuresAlarm",
            "ApproximateNumberOfMessagesVisible",
            "ScheduleFailures.QueueName",
            0.0,
            1.0,
        ),
    ] {
        let with = |value| {
            let mut period = Period::default();
            period.emit(metric, of, value);
            period
        };
        followed.ring(&with(bad), &[name]);
        followed.heal(&with(quiet), &[name]);
        assert!(!Period::default().rings(name), "{name} rings over nothing");
    }
    // Of a function that nobody waits for it may be.
    let mut of_the_guard = Period::default();
    of_the_guard.emit("Duration", "GuardMigrations", 59_000.0);
    assert!(!of_the_guard.rings("FunctionsSlowAlarm"));
    followed.end(&EMITTED);
}

#[test]
fn reads_the_metric_math_of_the_template() {
    let of = |id: &str| match id {
        "a" => Some(2.0),
        "b" => Some(5.0),
        _ => None,
    };
    for (expression, expected) in [
        ("MAX([a, b])", Some(5.0)),
        ("MAX([a, 1000000 * none, 3 * a])", Some(6.0)),
        ("MAX([MIN([FILL(none, 0), FILL(a, 0)]), FILL(none, 1)])", Some(1.0)),
        ("MAX([none])", None),
    ] {
        assert_eq!(value(expression, &of), expected, "{expression}");
    }
}

async fn observe(stack: &Stack) -> Period {
    let before = stack.functions().log(Function::ObserveMigrations).len();
    stack.functions().invoke_on_schedule(Function::ObserveMigrations).await.unwrap();
    let found: Metrics = metrics(&stack.functions().log(Function::ObserveMigrations)[before..]);
    Period::of(&found)
}

#[tokio::test(flavor = "multi_thread")]
async fn heals_what_is_observed_by_the_runbooks_command() {
    let stack = Stack::start(StackOptions { instances: 1, log_level: "error".to_owned(), ..options() })
        .await
        .unwrap();
    repositories(&stack, &["good/image"]).await.unwrap();
    let mut followed = Followed::default();
    // Nobody counts yet.
    followed.ring(&Period::default(), &["NothingObservedAlarm"]);
    let quiet = observe(&stack).await;
    followed.heal(&quiet, &["NothingObservedAlarm"]);
    for name in OBSERVED {
        assert!(!quiet.rings(name), "{name} rings before anything is wrong");
    }

    // Tags are missing: somebody looked, and they were deleted on purpose.
    given(&stack, "lost/tags", "import_done", None).await.unwrap();
    sql(
        &stack,
        r#"UPDATE container_repositories SET tags_check = 'tags_missing', missing_tags = '{"count": 1, "names": ["v1"]}'
           WHERE path = 'lost/tags'"#,
    )
    .await
    .unwrap();
    // A step has run for two hours, and the registry knows nothing of it.
    given(&stack, "stuck/image", "importing", None).await.unwrap();
    sql(
        &stack,
        "UPDATE container_repositories SET import_started_at = now() - interval '2 hours' WHERE path = 'stuck/image'",
    )
    .await
    .unwrap();
    // Many have failed, and the cause is repaired now.
    sql(
        &stack,
        "INSERT INTO migration_brake (turn, failures, opened_at, next_start_at)
         VALUES (1, '{}', now() - interval '100 seconds', now())",
    )
    .await
    .unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    let ill = observe(&stack).await;
    followed.ring(&ill, &["TagsMissingAlarm", "StuckAlarm", "BreakerOpenAlarm"]);

    let run = async |arguments: &[&str]| command(&stack, arguments).await.ended(0, "");
    run(&["accept", "lost/tags", "--reason", "its owner deleted it"]).await;
    // Before the cancel: the slot that it frees is filled at once, and by the same repository.
    run(&["start", "good/image"]).await;
    run(&["cancel", "stuck/image", "--force"]).await;
    until_state(&stack, "good/image", "import_done").await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    let healed = observe(&stack).await;
    followed.heal(&healed, &["TagsMissingAlarm", "StuckAlarm", "BreakerOpenAlarm"]);

    // The reader is gone: what is shown comes from the writer meanwhile.
    stack.pair().stop_reader().await.unwrap();
    followed.ring(&observe(&stack).await, &["ReplicaLagAlarm"]);
    run(&["settings", "reader_enabled=false"]).await;
    let shown = command(&stack, &["status", "--json"]).await.lines().remove(0);
    assert!(shown["served_by"] != json!("reader"), "{shown}");
    stack.pair().start_reader().await.unwrap();
    run(&["settings", "reader_enabled=true"]).await;
    stack.pair().wait_until_replayed().await.unwrap();
    followed.heal(&observe(&stack).await, &["ReplicaLagAlarm"]);
    followed.end(&OBSERVED);
    stack.stop().await.unwrap();
}

/// The line that the gateway writes of a request, in the template's format, and the answer's status.
async fn access_line(route: &str, request: RequestBuilder) -> (String, u16) {
    let begun = Instant::now();
    let status = request.send().await.unwrap().status().as_u16();
    let template = Template::read();
    let format = text(&template.resources("AWS::Serverless::HttpApi")["Api"]["AccessLogSettings"]["Format"]);
    let mut line = format;
    for (variable, value) in [
        ("$context.requestTimeEpoch", "1767225600".to_owned()),
        ("$context.routeKey", route.to_owned()),
        ("$context.status", status.to_string()),
        ("$context.responseLatency", begun.elapsed().as_millis().to_string()),
        ("$context.requestId", "id".to_owned()),
        ("$context.integrationStatus", "200".to_owned()),
        ("$context.identity.sourceIp", "192.0.2.1".to_owned()),
    ] {
        line = line.replace(variable, &value);
    }
    assert!(!line.contains("$context"), "{line}");
    (line.replace('\n', " "), status)
}

/// A notification as it comes through the gateway.
async fn notify(stack: &Stack, path: &str, status: &str, secret: Option<&str>) -> (Period, u16) {
    let url = format!("/api/v4/internal/registry/repositories/{path}/migration/status");
    let client = stack.client();
    let request = match secret {
        Some(secret) => client.request(Method::PUT, &url).header("authorization", secret),
        None => client.as_registry(Method::PUT, &url),
    };
    let body = json!({"name": "image", "path": path, "status": status, "detail": status});
    let route = "PUT /api/v4/internal/registry/repositories/{rest+}";
    let (line, status) = access_line(route, request.json(&body)).await;
    let mut period = Period::default();
    period.filter("AccessLog", &line);
    (period, status)
}

/// Runs a schedule's function once, counted as Lambda counts.
async fn run_schedule(
    functions: &FunctionSet,
    function: Function,
    id: &str,
    period: &mut Period,
) -> Option<Value> {
    let outcome = functions.invoke_on_schedule(function).await;
    period.emit("Invocations", id, 1.0);
    period.emit("Errors", id, if outcome.is_ok() { 0.0 } else { 1.0 });
    outcome.ok()
}

async fn read(stack: &Stack, functions: &FunctionSet, url: &str) -> (u16, Value) {
    let answer = stack.client_of(functions).as_operator(Method::GET, url).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Reads and a round of the guard by processes of their own, which know nothing yet: what that is counted as.
async fn read_anew(stack: &Stack, reads: usize, told: impl Fn(Function, &mut Environment)) -> Period {
    let reading = [Function::MigrationStatus, Function::GuardMigrations];
    let functions = stack.run_functions(&reading, told).await.unwrap();
    for _ in 0..reads {
        read(stack, &functions, &format!("{STATUS}?min_version=1")).await;
    }
    let mut period = Period::default();
    run_schedule(&functions, Function::GuardMigrations, "GuardMigrations", &mut period).await;
    period.add(Logs::from_the_beginning(&functions).next());
    functions.stop();
    period
}

#[tokio::test(flavor = "multi_thread")]
async fn heals_a_reader_by_the_runbooks_commands() {
    let stack = stack_with_a_row().await;
    let mut followed = Followed::default();
    let reader = ["ReaderUnavailableAlarm", "WriterFallbackAlarm", "FallbackRefusedAlarm"];
    let endpoints = ["EndpointsInvertedAlarm", "EndpointsCollapsedAlarm"];

    // The reader is gone: until it is back, or taken out, the writer is read, and spared where that is too much.
    stack.pair().stop_reader().await.unwrap();
    followed
        .ring(&read_anew(&stack, 30, |_, _| {}).await, &["ReaderUnavailableAlarm", "FallbackRefusedAlarm"]);
    command(&stack, &["doctor"]).await.ended(2, "look at the replica");
    command(&stack, &["settings", "reader_enabled=false"]).await.ended(0, "false");
    let off = read_anew(&stack, 25, |_, _| {}).await;
    followed.heal(&off, &["ReaderUnavailableAlarm", "FallbackRefusedAlarm"]);
    followed.ring(&off, &["WriterFallbackAlarm"]);
    stack.pair().start_reader().await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    command(&stack, &["settings", "reader_enabled=true"]).await.ended(0, "true");
    stack.pair().wait_until_replayed().await.unwrap();

    // The functions are told the wrong clusters.
    let swapped = |_, environment: &mut Environment| {
        if environment.contains_key("READER_ARN") {
            environment.insert("WRITER_ARN".to_owned(), READER_ARN.to_owned());
            environment.insert("READER_ARN".to_owned(), WRITER_ARN.to_owned());
        }
    };
    followed.ring(&read_anew(&stack, 1, swapped).await, &["EndpointsInvertedAlarm"]);
    // The reader's host is the writer's.
    let (port, certificates) = (stack.pair().writer().port, stack.pair().certificates());
    let one = |_, environment: &mut Environment| {
        if environment.remove("READER_ARN").is_some() {
            environment.remove("READER_ENDPOINT_URL");
            for (name, value) in [
                ("TOPOLOGY", "direct-reader".to_owned()),
                ("READER_HOST", "localhost".to_owned()),
                ("READER_PORT", port.to_string()),
                ("READER_CA_FILE", certificates.display().to_string()),
                ("READER_AUTH", "secret".to_owned()),
            ] {
                environment.insert(name.to_owned(), value);
            }
        }
    };
    followed.ring(&read_anew(&stack, 1, one).await, &["EndpointsCollapsedAlarm"]);

    let well = read_anew(&stack, 25, |_, _| {}).await;
    followed.heal(&well, &reader);
    followed.heal(&well, &endpoints);
    followed.end(&COUNTED[..5]);
    stack.stop().await.unwrap();
}

async fn stack_with_a_row() -> Stack {
    let stack = Stack::start(StackOptions { instances: 1, proxies: true, ..options() }).await.unwrap();
    given(&stack, "group/image", "import_done", None).await.unwrap();
    say_schema_version(&stack).await;
    stack
}

#[tokio::test(flavor = "multi_thread")]
async fn heals_what_is_counted_by_the_runbooks_command() {
    let stack = stack_with_a_row().await;
    repositories(&stack, &["canary/image"]).await.unwrap();
    let functions = stack.functions();
    let mut logs = Logs::from_now(functions);
    let mut followed = Followed::default();
    let run = async |arguments: &[&str]| command(&stack, arguments).await;
    let schedules = [
        (Function::EnqueueMigrations, "EnqueueMigrations"),
        (Function::GuardMigrations, "GuardMigrations"),
        (Function::ObserveMigrations, "ObserveMigrations"),
    ];

    // A schedule that may not read the database fails, and one that does not run is missed.
    // Nothing starts by itself, or the canary would be done before the doctor starts it.
    run(&["settings", "enabled=false", "created_before=2000-01-01T00:00:00Z"]).await.ended(0, "false");
    stack.data_api().inject(Fault::new(Effect::WrongSecret).on(WRITER_ARN));
    let mut ill = Period::default();
    run_schedule(functions, Function::EnqueueMigrations, "EnqueueMigrations", &mut ill).await;
    followed.ring(&ill, &["FunctionErrorsAlarm", "SchedulesSilentAlarm"]);
    stack.data_api().clear_faults();
    let mut well = Period::default();
    for (function, id) in schedules {
        run_schedule(functions, function, id, &mut well).await;
    }
    followed.heal(&well, &["FunctionErrorsAlarm", "SchedulesSilentAlarm"]);

    // Nobody knows whether changes were made; sent again by hand, they are.
    for _ in 0..10 {
        stack.data_api().inject(
            Fault::new(Effect::Cut { when: When::After })
                .sql_contains("migration_settings FOR UPDATE")
                .times(1),
        );
        run(&["settings", "capacity=90"]).await.ended(3, "not available");
    }
    followed.ring(&logs.next(), &["OutcomeUnknownAlarm"]);
    run(&["settings", "capacity=100"]).await.ended(0, "capacity");
    followed.heal(&logs.next(), &["OutcomeUnknownAlarm"]);

    // A notification for what is not registered.
    let (ill, status) = notify(&stack, "not/there", "import_complete", None).await;
    assert_eq!(status, 404);
    followed.ring(&ill, &["NotificationsRefusedAlarm"]);
    run(&["explain", "not/there"]).await.ended(2, "functions/README.md#unknown-repository");
    given(&stack, "not/there", "pre_importing", None).await.unwrap();

    // The signing key is gone when a pre-import is done: it is recorded, and the registry is not asked.
    let key = stack.secrets().put(SIGNING_KEY_SECRET_ARN, "no key").unwrap();
    run(&["settings", "enabled=true"]).await.ended(0, "true");
    let (well, status) = notify(&stack, "not/there", "pre_import_complete", None).await;
    assert_eq!(status, 200);
    followed.heal(&well, &["NotificationsRefusedAlarm"]);
    let unread =
        async || Ok(functions.log(Function::RegistryNotification).contains("\"counter\":\"secret_unread\""));
    until("the key is missed", unread).await.unwrap();
    followed.ring(&logs.next(), &["SecretUnreadAlarm"]);
    stack.secrets().put(SIGNING_KEY_SECRET_ARN, key.expose_secret());

    // The registry does not answer, and something seems stuck.
    let registry = stack.proxies().unwrap().registry.as_ref().unwrap();
    // A row of its own: what follows the notification above may still change that one.
    given(&stack, "stuck/image", "importing", None).await.unwrap();
    let stuck = "UPDATE container_repositories SET import_started_at = now() - interval '2 hours', next_check_at = NULL
        WHERE path = 'stuck/image'";
    registry.go(Way::Down).await.unwrap();
    sql(&stack, stuck).await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    let round = async || functions.invoke_on_schedule(Function::GuardMigrations).await.unwrap();
    round().await;
    followed.ring(&logs.next(), &["RegistrySilentAlarm"]);
    run(&["doctor"]).await.ended(2, "registry");
    registry.go(Way::Open).await.unwrap();
    sql(&stack, stuck).await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    round().await;
    followed.heal(&logs.next(), &["RegistrySilentAlarm"]);

    // A wrong secret, the right one, and a repository to see by that notifications come.
    let (ill, status) = notify(&stack, "group/image", "import_complete", Some("wrong")).await;
    assert_eq!(status, 401);
    followed.ring(&ill, &["NotificationsUnauthorizedAlarm"]);
    assert!(!ill.rings("NotificationsRefusedAlarm"), "a stranger's is no lost one");
    run(&["doctor", "--canary", "canary/image"]).await.ended(0, "by its notifications");
    followed.heal(&logs.next(), &["SecretUnreadAlarm"]);
    given(&stack, "other/image", "importing", None).await.unwrap();
    let (well, status) = notify(&stack, "other/image", "import_failed", None).await;
    assert_eq!(status, 200);
    followed.heal(&well, &["NotificationsUnauthorizedAlarm"]);

    // Somebody has locked the row.
    given(&stack, "slow/image", "importing", None).await.unwrap();
    let mut client = primary(&stack).await.unwrap();
    let transaction = client.transaction().await.unwrap();
    transaction
        .execute("SELECT FROM container_repositories WHERE path = 'slow/image' FOR UPDATE", &[])
        .await
        .unwrap();
    let release = async {
        tokio::time::sleep(std::time::Duration::from_millis(6300)).await;
        transaction.commit().await.unwrap();
    };
    let ((ill, _), ()) = tokio::join!(notify(&stack, "slow/image", "import_failed", None), release);
    followed.ring(&ill, &["NotificationsSlowAlarm"]);
    // A busy machine may be slow by itself for a while.
    let begun = Instant::now();
    loop {
        let (well, _) = notify(&stack, "slow/image", "import_failed", None).await;
        if !well.rings("NotificationsSlowAlarm") {
            followed.heal(&well, &["NotificationsSlowAlarm"]);
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{well:?}");
    }
    followed.end(&COUNTED[5..]);
    stack.stop().await.unwrap();
}
