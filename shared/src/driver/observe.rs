use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::{
    endpoint::{EndpointError, Observe},
    store::{Census, Heartbeat, Store},
};

/// How long a heartbeat is looked for. A longer lag is reported as at least that long.
const LOOK: Duration = Duration::from_secs(10);
/// How long an endpoint may take to write a heartbeat, or to say which it has.
const HEARTBEAT: Duration = Duration::from_secs(4);
/// How long an endpoint may take to count.
const COUNT: Duration = Duration::from_secs(6);
/// The pauses between two looks: each twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// What the observer works with.
pub struct Observer {
    /// Both endpoints.
    pub store: Store<Observe>,
}

/// How everything stands, as far as it can be seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Observation {
    /// The count, and who counted. None: neither endpoint did.
    pub counted: Option<Counted>,
    /// How far the reader is behind the writer.
    pub lag: Lag,
    /// The reader lacks a heartbeat that is older than the operators' bound. None: an endpoint did not answer.
    pub past_bound: Option<bool>,
    /// The reader did not answer to something.
    pub reader_failed: bool,
    /// The writer did not answer to something.
    pub writer_failed: bool,
}

/// A census and its source.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Counted {
    /// `reader`, or `writer` where the reader cannot serve.
    pub served_by: &'static str,
    /// What was counted.
    #[serde(flatten)]
    pub census: Census,
}

/// How far the reader is behind the writer, measured by a heartbeat that is written on the one and looked for on the
/// other: the times that a replica tells say nothing while nothing arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "measured", rename_all = "snake_case")]
pub enum Lag {
    /// The heartbeat was seen so many milliseconds after its commit was known, the time of the call that saw it
    /// included.
    Seen {
        /// How many.
        milliseconds: u64,
    },
    /// It had not been seen for so many milliseconds.
    NotSeen {
        /// How many.
        milliseconds: u64,
    },
    /// An endpoint did not answer.
    Unknown,
}

impl Observer {
    /// Looks at everything until `deadline` at the latest. An endpoint that does not answer is a part of what
    /// is seen.
    pub async fn observe(&self, deadline: Instant) -> Observation {
        let ((counted, count_failed), (lag, past_bound, lag_failed)) =
            tokio::join!(self.count(deadline), self.measure_lag(deadline));
        Observation {
            counted,
            lag,
            past_bound,
            reader_failed: count_failed.reader || lag_failed.reader,
            writer_failed: count_failed.writer || lag_failed.writer,
        }
    }

    /// Counts on the reader, and on the writer where the reader cannot.
    async fn count(&self, deadline: Instant) -> (Option<Counted>, Failed) {
        let mut failed = Failed::default();
        let until = || deadline.min(Instant::now() + COUNT);
        if let Some(census) = failed.reader(self.store.census_on_reader(until()).await) {
            return (Some(Counted { served_by: "reader", census }), failed);
        }
        let census = failed.writer(self.store.census_on_writer(until()).await);
        (census.map(|census| Counted { served_by: "writer", census }), failed)
    }

    async fn measure_lag(&self, deadline: Instant) -> (Lag, Option<bool>, Failed) {
        let mut failed = Failed::default();
        let in_time = || deadline.min(Instant::now() + HEARTBEAT);
        let written = failed.writer(self.store.write_heartbeat(in_time()).await);
        let Some(Heartbeat { heartbeat, overdue_heartbeat }) = written else {
            return (Lag::Unknown, None, failed);
        };
        let committed = Instant::now();
        let until = deadline.min(committed + LOOK);
        let mut pause = FIRST_PAUSE;
        loop {
            // The last look has its time too: a reader that answers has not failed.
            let Some(replayed) = failed.reader(self.store.replayed_heartbeat(in_time()).await) else {
                return (Lag::Unknown, None, failed);
            };
            let past_bound = Some(overdue_heartbeat.is_some_and(|overdue| replayed < overdue));
            let milliseconds = u64::try_from(committed.elapsed().as_millis()).unwrap_or(u64::MAX);
            if replayed >= heartbeat {
                return (Lag::Seen { milliseconds }, past_bound, failed);
            }
            if Instant::now() + pause >= until {
                return (Lag::NotSeen { milliseconds }, past_bound, failed);
            }
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }
}

/// Which endpoints did not answer.
#[derive(Clone, Copy, Default)]
struct Failed {
    reader: bool,
    writer: bool,
}

impl Failed {
    fn reader<T>(&mut self, result: Result<Option<T>, EndpointError>) -> Option<T> {
        let answer = answer(result);
        self.reader |= answer.is_none();
        answer
    }

    fn writer<T>(&mut self, result: Result<Option<T>, EndpointError>) -> Option<T> {
        let answer = answer(result);
        self.writer |= answer.is_none();
        answer
    }
}

fn answer<T>(result: Result<Option<T>, EndpointError>) -> Option<T> {
    match result {
        Ok(Some(answer)) => Some(answer),
        Ok(None) => {
            tracing::error!("bookkeeping row missing: has the schema been applied?");
            None
        }
        Err(error) => {
            tracing::warn!(%error, counter = "observe_failed", "an endpoint cannot be observed");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Lag, Observer};
    use crate::{
        endpoint::{
            Endpoints, Reader, ReaderConnections, Writer,
            scripted_transport::{Does, ScriptedTransport},
        },
        store::Store,
    };

    #[tokio::test(start_paused = true)]
    async fn a_slow_count_is_not_measured_as_lag() {
        let (writer, reads, probes) =
            (ScriptedTransport::default(), ScriptedTransport::default(), ScriptedTransport::default());
        let written = r#"{"heartbeat": 7, "overdue_heartbeat": 6}"#;
        writer.set("write_heartbeat", Does::Answers(written.to_owned()));
        probes.set("replayed_heartbeat", Does::Answers("7".to_owned()));
        reads.set("census", Does::Hangs);
        let reader = ReaderConnections { reads: Reader::new(reads), probes: Reader::new(probes) };
        let observer = Observer { store: Store::new(Endpoints { writer: Writer::new(writer), reader }) };
        let seen = observer.observe(Instant::now() + Duration::from_secs(20)).await;
        assert_eq!((seen.lag, seen.past_bound), (Lag::Seen { milliseconds: 0 }, Some(false)));
        assert!(seen.reader_failed && seen.counted.is_none(), "{seen:?}");
    }
}
