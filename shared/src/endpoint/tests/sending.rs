use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};

use super::{data_api::data_api, errors::error};
use crate::endpoint::{
    Call, Effect, EndpointError, ErrorClass, Failure, Outcome, Reader, Statement, Transport, Writer,
    scripted_server::{Reply, ScriptedServer, within},
};

const RESUMING: Failure = Failure::new(Outcome::DidNotRun, ErrorClass::Resuming);
const CONFLICT: Failure = Failure::new(Outcome::RanAndFailed, ErrorClass::Conflict);
const CUT: Failure = Failure::new(Outcome::Unknown, ErrorClass::Unavailable);
const MISCONFIGURED: Failure = Failure::new(Outcome::DidNotRun, ErrorClass::Misconfigured);
const CONSTRAINT: Failure = Failure::new(Outcome::RanAndFailed, ErrorClass::Constraint);
const READ_ONLY: Failure = Failure::new(Outcome::RanAndFailed, ErrorClass::ReadOnly);
const UNDECODABLE: Failure = Failure::new(Outcome::Unknown, ErrorClass::Undecodable);

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

fn plain() -> Statement<crate::endpoint::Write> {
    Statement::write("plain", "UPDATE")
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
async fn a_statement_that_surely_changed_nothing_is_sent_again_whatever_it_is() {
    let script = [&RESUMING, &RESUMING, &CONFLICT];
    let (a, b, c) = (Scripted::failing(&script), Scripted::failing(&script), Scripted::failing(&script));
    assert_eq!(fetch(&a, plain()).await.unwrap(), [1]);
    assert_eq!(fetch(&b, repeatable()).await.unwrap(), [1]);
    assert_eq!(fetch(&c, read()).await.unwrap(), [1]);
    assert_eq!([a, b, c].map(|transport| transport.calls().len()), [4, 4, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_plain_write_is_never_sent_twice_once_its_outcome_is_unknown() {
    let transport = Scripted::failing(&[&RESUMING, &CUT]);
    let error = fetch(&transport, plain()).await.unwrap_err();
    assert_eq!((error.outcome(), error.attempts), (Outcome::Unknown, 2));
    assert_eq!(transport.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn reads_and_repeatable_writes_are_sent_again_after_an_unknown_outcome() {
    let (a, b) = (Scripted::failing(&[&CUT, &CUT]), Scripted::failing(&[&CUT, &CUT]));
    assert_eq!(fetch(&a, read()).await.unwrap(), [1]);
    assert_eq!(fetch(&b, repeatable()).await.unwrap(), [1]);
    assert_eq!((a.calls().len(), b.calls().len()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn what_will_not_get_better_is_not_tried_again() {
    for failure in [&MISCONFIGURED, &CONSTRAINT, &READ_ONLY, &UNDECODABLE] {
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
    assert_eq!((error.class(), error.outcome()), (ErrorClass::Misconfigured, Outcome::Unknown));
}

#[tokio::test(start_paused = true)]
async fn a_resuming_cluster_is_waited_for_until_the_deadline_with_growing_pauses() {
    let transport = Scripted::always(RESUMING);
    let started = Instant::now();
    let error = fetch(&transport, plain()).await.unwrap_err();
    assert_eq!((error.class(), error.outcome()), (ErrorClass::Resuming, Outcome::DidNotRun));

    let calls = transport.calls();
    assert!(started.elapsed() <= Duration::from_secs(8), "{:?}", started.elapsed());
    assert!(started.elapsed() >= Duration::from_secs(5), "gave up early: {:?}", started.elapsed());
    let pauses: Vec<Duration> = calls.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses[0] <= Duration::from_millis(41), "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= Duration::from_millis(2001)), "{pauses:?}");
    assert!(pauses.last() >= Some(&Duration::from_secs(1)), "{pauses:?}");
    assert_eq!(u32::try_from(calls.len()).unwrap(), error.attempts);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_when_no_time_is_left() {
    let transport = Scripted::default();
    let error = Reader::new(transport.clone()).fetch::<u8>(read(), Instant::now()).await.unwrap_err();
    assert_eq!((error.class(), error.outcome()), (ErrorClass::Timeout, Outcome::DidNotRun));
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
    assert_eq!((error.class(), error.outcome()), (ErrorClass::Timeout, Outcome::Unknown));
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
