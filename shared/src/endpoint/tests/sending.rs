use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};

use super::{data_api::data_api, errors::error};
use crate::endpoint::{
    Call, Effect, EndpointError, ErrorClass, Execution, Failure, Reader, SqlState, Statement, Transport,
    Writer,
    scripted_server::{Reply, ScriptedServer, within},
};
use crate::telemetry::{LogLevel, capture::Capture};

const RESUMING: Failure = Failure::new(Execution::DidNotRun, ErrorClass::Resuming);
const CONFLICT: Failure = Failure::new(Execution::RanAndFailed, ErrorClass::Conflict);
const CUT: Failure = Failure::new(Execution::Unknown, ErrorClass::Unavailable);
const MISCONFIGURED: Failure = Failure::new(Execution::DidNotRun, ErrorClass::Misconfigured);
const CONSTRAINT: Failure = Failure::new(Execution::RanAndFailed, ErrorClass::Constraint);
const UNDECODABLE: Failure = Failure::new(Execution::Unknown, ErrorClass::Undecodable);

/// Fails by a script, then gives one row; keeps when it was called.
#[derive(Clone, Default)]
struct Scripted {
    failures: Arc<Mutex<VecDeque<Failure>>>,
    for_ever: Option<Failure>,
    calls: Arc<Mutex<Vec<Instant>>>,
}

impl Scripted {
    fn failing(failures: &[&Failure]) -> Self {
        let failures = failures.iter().copied().cloned().collect();
        Self { failures: Arc::new(Mutex::new(failures)), ..Self::default() }
    }

    fn always(failure: Failure) -> Self {
        Self { for_ever: Some(failure), ..Self::default() }
    }

    fn calls(&self) -> Vec<Instant> {
        self.calls.lock().unwrap().clone()
    }
}

#[async_trait]
impl Transport for Scripted {
    async fn execute(&self, _: Call<'_>, _: Instant) -> Result<Vec<String>, Failure> {
        self.calls.lock().unwrap().push(Instant::now());
        match self.failures.lock().unwrap().pop_front().or(self.for_ever.clone()) {
            Some(failure) => Err(failure),
            None => Ok(vec!["1".to_owned()]),
        }
    }
}

/// Says nothing. Counts the sendings, and how often its connections were forgotten.
#[derive(Clone, Default)]
struct Silent(Arc<Mutex<(usize, usize)>>);

#[async_trait]
impl Transport for Silent {
    async fn execute(&self, _: Call<'_>, _: Instant) -> Result<Vec<String>, Failure> {
        self.0.lock().unwrap().0 += 1;
        std::future::pending().await
    }

    fn forget_connections(&self) {
        self.0.lock().unwrap().1 += 1;
    }
}

fn plain() -> Statement<crate::endpoint::Write> {
    Statement::write_once("plain", "UPDATE")
}

fn repeatable() -> Statement<crate::endpoint::Write> {
    Statement::repeatable_write("repeatable", "UPDATE")
}

fn read() -> Statement<crate::endpoint::Read> {
    Statement::read("read", "SELECT")
}

async fn fetch<E: Effect>(transport: &Scripted, statement: Statement<E>) -> Result<Vec<u8>, EndpointError> {
    let deadline = Instant::now() + Duration::from_secs(8);
    Writer::new(transport.clone()).fetch(statement, deadline).await
}

#[tokio::test(start_paused = true)]
async fn resends_any_statement_that_surely_changed_nothing() {
    let script = [&RESUMING, &RESUMING, &CONFLICT];
    let (a, b, c) = (Scripted::failing(&script), Scripted::failing(&script), Scripted::failing(&script));
    assert_eq!(fetch(&a, plain()).await.unwrap(), [1]);
    assert_eq!(fetch(&b, repeatable()).await.unwrap(), [1]);
    assert_eq!(fetch(&c, read()).await.unwrap(), [1]);
    assert_eq!([a, b, c].map(|transport| transport.calls().len()), [4, 4, 4]);
}

#[tokio::test(start_paused = true)]
async fn never_resends_a_plain_write_of_unknown_outcome() {
    let transport = Scripted::failing(&[&RESUMING, &CUT]);
    let error = fetch(&transport, plain()).await.unwrap_err();
    assert_eq!((error.outcome(), error.attempts), (Execution::Unknown, 2));
    assert_eq!(transport.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn resends_reads_and_repeatable_writes_of_unknown_outcome() {
    let (a, b) = (Scripted::failing(&[&CUT, &CUT]), Scripted::failing(&[&CUT, &CUT]));
    assert_eq!(fetch(&a, read()).await.unwrap(), [1]);
    assert_eq!(fetch(&b, repeatable()).await.unwrap(), [1]);
    assert_eq!((a.calls().len(), b.calls().len()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn what_will_not_get_better_is_not_tried_again() {
    for failure in [&MISCONFIGURED, &CONSTRAINT, &UNDECODABLE] {
        let transport = Scripted::failing(&[failure]);
        let error = fetch(&transport, repeatable()).await.unwrap_err();
        assert_eq!(error.failure, *failure);
        assert_eq!((transport.calls().len(), error.attempts), (1, 1), "{failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_outcome_covers_every_time_the_statement_was_sent() {
    let transport = Scripted::failing(&[&CUT, &MISCONFIGURED]);
    let error = fetch(&transport, repeatable()).await.unwrap_err();
    assert_eq!((error.class(), error.outcome()), (ErrorClass::Misconfigured, Execution::Unknown));
}

#[tokio::test(start_paused = true)]
async fn waits_for_a_resuming_cluster_with_growing_pauses() {
    let transport = Scripted::always(RESUMING);
    let started = Instant::now();
    let error = fetch(&transport, plain()).await.unwrap_err();
    assert_eq!((error.class(), error.outcome()), (ErrorClass::Resuming, Execution::DidNotRun));

    let calls = transport.calls();
    assert!(started.elapsed() <= Duration::from_secs(8), "{:?}", started.elapsed());
    assert!(started.elapsed() >= Duration::from_millis(7500), "gave up early: {:?}", started.elapsed());
    let pauses: Vec<Duration> = calls.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses[0] <= Duration::from_millis(41), "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= Duration::from_millis(2001)), "{pauses:?}");
    assert!(pauses.iter().max() >= Some(&Duration::from_secs(1)), "{pauses:?}");
    assert_eq!(u32::try_from(calls.len()).unwrap(), error.attempts);
}

#[tokio::test(start_paused = true)]
async fn shortens_the_last_pause_for_one_more_sending() {
    // Chance makes the pauses: many times.
    for _ in 0..200 {
        let transport = Scripted::always(RESUMING);
        let started = Instant::now();
        fetch(&transport, plain()).await.unwrap_err();
        let last = *transport.calls().last().unwrap() - started;
        let expected = Duration::from_millis(7499)..=Duration::from_millis(7501);
        assert!(expected.contains(&last), "the last sending was at {last:?} of 8 s");
    }
    // Where there is little time from the beginning, all of it is used.
    let transport = Scripted::always(RESUMING);
    let deadline = Instant::now() + Duration::from_millis(400);
    Writer::new(transport.clone()).fetch::<u8, _>(plain(), deadline).await.unwrap_err();
    assert!(transport.calls().len() > 2 && Instant::now() < deadline);
}

/// How long one sending may take, and what is sent again: a server that says nothing, for 8 s.
#[tokio::test(start_paused = true)]
async fn gives_up_a_sending_in_time_for_others_only_where_it_is_brief() {
    async fn sent<E: Effect>(statement: Statement<E>, reader: bool) -> (usize, usize) {
        let silent = Silent::default();
        let deadline = Instant::now() + Duration::from_secs(8);
        let statement = statement.bind("a", 1);
        let name = statement.name();
        let result = if reader {
            Reader::new(silent.clone()).fetch::<u8>(read_like(&statement), deadline).await
        } else {
            Writer::new(silent.clone()).fetch::<u8, _>(statement, deadline).await
        };
        let error = result.unwrap_err();
        assert_eq!((error.outcome(), error.class()), (Execution::Unknown, ErrorClass::Timeout), "{name}");
        assert_eq!(Instant::now(), deadline, "{name}: the deadline is used, and kept");
        *silent.0.lock().unwrap()
    }
    fn read_like<E: Effect>(statement: &Statement<E>) -> Statement<crate::endpoint::Read> {
        let read = read();
        if statement.limit().is_some() { read.brief() } else { read }
    }
    for (statement, sendings) in [(read().brief(), 3), (read(), 1)] {
        assert_eq!(sent(statement.clone(), false).await, (sendings, sendings), "read at the writer");
        assert_eq!(sent(statement, true).await, (sendings, sendings), "read at the reader");
    }
    for (what, statement, sendings) in [
        ("brief and repeatable", repeatable().brief(), 3),
        ("repeatable", repeatable(), 1),
        ("plain", plain(), 1),
        // Nobody may promise this; it is not given up, since it cannot be sent again.
        ("brief and plain", plain().brief(), 1),
    ] {
        assert_eq!(sent(statement, false).await, (sendings, sendings), "{what}");
    }
}

/// What is sent again: each class, with each outcome, of each kind of statement, at both kinds of endpoint.
#[tokio::test(start_paused = true)]
async fn sends_again_what_passes_and_is_safe() {
    use ErrorClass::{
        Conflict, ConnectionLost, Constraint, Defect, Misconfigured, ReadOnly, Resuming, Throttled, Timeout,
        Unavailable, Undecodable,
    };
    for (class, at_the_writer, at_the_reader) in [
        (Resuming, true, true),
        (Throttled, true, true),
        (Unavailable, true, true),
        (Timeout, true, true),
        (ConnectionLost, true, true),
        (Conflict, true, true),
        // A failover. A reader stays what it is.
        (ReadOnly, true, false),
        (Misconfigured, false, false),
        (Constraint, false, false),
        (Defect, false, false),
        (Undecodable, false, false),
    ] {
        for outcome in [Execution::DidNotRun, Execution::RanAndFailed, Execution::Unknown] {
            let failure = Failure::new(outcome, class);
            let transport = || Scripted::failing(&[&failure]);
            let deadline = Instant::now() + Duration::from_secs(8);
            let what = format!("{class}, {outcome}");
            let known = outcome != Execution::Unknown;
            assert_eq!(fetch(&transport(), plain()).await.is_ok(), at_the_writer && known, "plain: {what}");
            assert_eq!(fetch(&transport(), repeatable()).await.is_ok(), at_the_writer, "repeatable: {what}");
            assert_eq!(fetch(&transport(), read()).await.is_ok(), at_the_writer, "read: {what}");
            let reader = Reader::new(transport());
            assert_eq!(reader.fetch::<u8>(read(), deadline).await.is_ok(), at_the_reader, "reader: {what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn waits_for_its_own_first_sending_that_is_still_at_work() {
    let of = |constraint: &str| {
        let message = format!("ERROR: duplicate key value violates unique constraint \"{constraint}\"");
        Failure::of_postgres(SqlState::parse("23505").unwrap(), &message)
    };
    let own = of("container_repositories_change_key");
    for (failure, statement, sendings) in [
        (&own, repeatable(), 4),
        (&own, plain(), 1),
        (&of("container_repositories_path_key"), repeatable(), 2),
    ] {
        let transport = if statement.name() == "plain" {
            Scripted::failing(&[failure])
        } else {
            Scripted::failing(&[&CUT, failure, failure])
        };
        let result = fetch(&transport, statement).await;
        assert_eq!(transport.calls().len(), sendings, "{failure}");
        match result {
            Ok(rows) => assert_eq!((rows, failure), (vec![1], &own)),
            Err(error) => assert_eq!(error.class(), ErrorClass::Constraint),
        }
    }
    // One that never ends is not a defect of ours: 503.
    let error = fetch(&Scripted::always(own), repeatable()).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_when_no_time_is_left() {
    let transport = Scripted::default();
    let error = Reader::new(transport.clone()).fetch::<u8>(read(), Instant::now()).await.unwrap_err();
    assert_eq!((error.class(), error.outcome()), (ErrorClass::Timeout, Execution::DidNotRun));
    assert_eq!((transport.calls().len(), error.attempts), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_forgets_the_deadline_is_left_at_it() {
    struct Forgetful;
    #[async_trait]
    impl Transport for Forgetful {
        async fn execute(&self, _: Call<'_>, deadline: Instant) -> Result<Vec<String>, Failure> {
            sleep_until(deadline + Duration::from_secs(60)).await;
            Ok(vec!["1".to_owned()])
        }
    }
    let started = Instant::now();
    let deadline = started + Duration::from_secs(2);
    let error = Writer::new(Forgetful).fetch::<u8, _>(plain(), deadline).await.unwrap_err();
    assert_eq!((error.class(), error.outcome()), (ErrorClass::Timeout, Execution::Unknown));
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_resuming_cluster_answers_in_the_end() {
    let resuming = error(400, "DatabaseResumingException", "Aurora DB instance is resuming");
    let throttled = error(400, "ThrottlingException", "Rate exceeded");
    let row = Reply::answer(200, r#"{"records":[[{"stringValue":"1"}]]}"#);
    let server = ScriptedServer::start([resuming.clone(), resuming, throttled, row]).await;
    let writer = Writer::new(data_api(&server.url()));
    let deadline = Instant::now() + Duration::from_secs(10);
    let rows = within(Duration::from_secs(20), writer.fetch::<u8, _>(plain(), deadline)).await.unwrap();
    assert_eq!(rows, [1]);
    assert_eq!(server.received().len(), 4);
}

#[tokio::test]
async fn a_500_is_sent_again_only_where_that_is_safe() {
    for (statement, expected) in [(plain(), 1), (repeatable(), 2)] {
        let broken = error(500, "InternalServerErrorException", "oops");
        let row = Reply::answer(200, r#"{"records":[[{"stringValue":"1"}]]}"#);
        let server = ScriptedServer::start([broken, row]).await;
        let writer = Writer::new(data_api(&server.url()));
        let deadline = Instant::now() + Duration::from_secs(10);
        let name = statement.name();
        let result = within(Duration::from_secs(20), writer.fetch::<u8, _>(statement, deadline)).await;
        assert_eq!(result.is_ok(), expected == 2, "{name}");
        assert_eq!(server.received().len(), expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn counts_no_outage_as_an_unknown_outcome() {
    let outage = CUT.clone().with_code("DatabaseUnavailableException");
    for (failures, counted) in
        [(vec![&outage], 0), (vec![&CUT], 1), (vec![&CUT, &outage], 1), (vec![&UNDECODABLE], 1)]
    {
        let log = Capture::begin("test", LogLevel::default());
        let last = failures.last().copied().unwrap().clone();
        let transport = Scripted { for_ever: Some(last), ..Scripted::failing(&failures) };
        let error = Writer::new(transport)
            .fetch::<i64, _>(repeatable(), Instant::now() + Duration::from_secs(8))
            .await
            .unwrap_err();
        assert_eq!(error.outcome(), Execution::Unknown);
        let text = log.text();
        assert_eq!(text.matches(r#""counter":"outcome_unknown""#).count(), counted, "{text}");
        assert_eq!(text.matches("the database is not there").count(), 1 - counted, "{text}");
    }
}
