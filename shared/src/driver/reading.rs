use std::{
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::time::Instant;

use crate::{
    endpoint::{
        Bucket, EndpointError, ErrorClass, Failure, Outcome, Purpose, ReadOnlyWriter, Reader, Relation,
        Resort, Standing, resort,
    },
    store,
};

/// How long what is known of the writer holds: so long after its change an operator's switch works everywhere.
pub const KNOWN_FOR: Duration = Duration::from_secs(30);

/// How soon a writer that did not answer is asked again how it stands.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// How long the writer may take to say how it stands. Nobody's answer waits for longer because of that.
const TO_SAY: Duration = Duration::from_secs(1);

/// So many may ask the writer at once because the reader failed, and one more each second: per process, and a
/// process serves one caller at a time.
const FALLBACKS: u32 = 10;
const ONE_MORE: Duration = Duration::from_secs(1);

/// Which endpoint an answer came from, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Served {
    /// The reader, as usual.
    Reader,
    /// The writer, because the reader had not replayed what the caller had already seen.
    WriterBehindFloor,
    /// The writer, because the reader could not serve.
    WriterReaderFailed,
    /// The writer, because operators have taken the reader out.
    WriterReaderOff,
}

/// The reader, and the writer for when the reader cannot serve or may not.
#[derive(Debug)]
pub struct Reading {
    reader: Reader,
    writer: ReadOnlyWriter,
    known: Mutex<Known>,
    budget: Mutex<Bucket>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    /// When the writer was last asked how it stands, and whether it said.
    asked: Option<(Instant, bool)>,
    standing: Option<Standing>,
    /// Whether the two endpoints are known to be what they should.
    related: bool,
}

impl Known {
    fn is_due(&self) -> bool {
        let inverted = self.standing.as_ref().is_some_and(|standing| standing.identity.read_only);
        self.asked.is_none_or(|(at, said)| {
            at.elapsed() >= if said { KNOWN_FOR } else { ASKED_AGAIN_AFTER } || inverted
        })
    }

    fn reader_is_off(&self) -> bool {
        self.standing.as_ref().is_some_and(|standing| !standing.reader_enabled)
    }
}

impl Reading {
    /// Of these two. Neither is asked for anything yet.
    #[must_use]
    pub fn new(reader: Reader, writer: ReadOnlyWriter) -> Self {
        let budget = Mutex::new(Bucket::full(FALLBACKS, ONE_MORE, Instant::now()));
        Self { reader, writer, known: Mutex::default(), budget }
    }

    /// The writer, as [`Reading::serve`]'s `latest` may ask it.
    #[must_use]
    pub fn writer(&self) -> &ReadOnlyWriter {
        &self.writer
    }

    /// Asks the reader by `read`, and where it cannot serve or may not, the writer by `latest`. Both are given the
    /// time by which they must be done: the reader has a third, so that there is time left for the writer.
    ///
    /// # Errors
    /// [`EndpointError`] of the reader where the writer is no resort or its budget is used up, else of the writer.
    pub async fn serve<P, T, R, L>(
        &self,
        read: impl FnOnce(Instant) -> R,
        latest: impl FnOnce(Instant) -> L,
        deadline: Instant,
    ) -> Result<(T, Served), EndpointError>
    where
        P: Purpose<Endpoint = Reader>,
        R: Future<Output = Result<T, EndpointError>>,
        L: Future<Output = Result<T, EndpointError>>,
    {
        let known = self.known().clone();
        let failed = if known.reader_is_off() && !known.is_due() {
            None
        } else {
            let now = Instant::now();
            let share = now + deadline.saturating_duration_since(now) / 3;
            let (found, ()) = tokio::join!(read(share), self.learn(deadline));
            match found {
                _ if self.known().reader_is_off() => None,
                Ok(found) => return Ok((found, Served::Reader)),
                Err(error) => Some(error),
            }
        };
        let Some(error) = failed else {
            tracing::info!(
                counter = "reader_off",
                purpose = P::RULE.name,
                "operators have taken the reader out"
            );
            return Ok((self.latest(latest, deadline).await?, Served::WriterReaderOff));
        };
        if resort(&P::RULE, error.class()) != Resort::Writer {
            return Err(error);
        }
        let may = self.budget.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now());
        if !may {
            tracing::warn!(%error, counter = "fallback_refused", purpose = P::RULE.name, "too many ask the writer");
            return Err(error);
        }
        tracing::warn!(%error, counter = "fallback", purpose = P::RULE.name, "the reader cannot serve");
        Ok((self.latest(latest, deadline).await?, Served::WriterReaderFailed))
    }

    /// Asks the writer by `latest`, once it has shown that it is one.
    ///
    /// # Errors
    /// [`EndpointError`] of the class [`ErrorClass::ReadOnly`] when it is none, else the writer's own.
    pub async fn latest<T, L: Future<Output = Result<T, EndpointError>>>(
        &self,
        latest: impl FnOnce(Instant) -> L,
        deadline: Instant,
    ) -> Result<T, EndpointError> {
        self.learn(deadline).await;
        let read_only = self.known().standing.as_ref().is_some_and(|standing| standing.identity.read_only);
        if read_only {
            let failure = Failure::new(Outcome::DidNotRun, ErrorClass::ReadOnly).with_detail(
                "the writer is in recovery or read-only: the endpoints are swapped, or fail over",
            );
            let endpoint = ReadOnlyWriter::NAME;
            return Err(EndpointError { endpoint, statement: "standing", attempts: 1, failure });
        }
        latest(deadline).await
    }

    /// Asks the writer how it stands, where that is due, and the reader who it is, where that is not known.
    async fn learn(&self, deadline: Instant) {
        let related = {
            let mut known = self.known();
            if !known.is_due() {
                return;
            }
            known.asked = Some((Instant::now(), false));
            known.related
        };
        let until = deadline.min(Instant::now() + TO_SAY);
        let identity =
            async { if related { None } else { store::identity(&self.reader, until).await.ok().flatten() } };
        let (standing, identity) = tokio::join!(store::standing(&self.writer, until), identity);
        let standing = match standing {
            Ok(Some(standing)) => standing,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "the writer does not say how it stands");
                return;
            }
        };
        let relation = identity.map(|identity| Relation::of(&standing.identity, &identity));
        if standing.identity.read_only {
            tracing::error!(counter = "endpoints_inverted", "the writer is in recovery or read-only");
        } else if relation == Some(Relation::Collapsed) {
            tracing::info!(counter = "endpoints_collapsed", "reader and writer are one server");
        }
        let mut known = self.known();
        known.related |= matches!(relation, Some(Relation::Distinct | Relation::Collapsed));
        known.asked = Some((Instant::now(), true));
        known.standing = Some(standing);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
