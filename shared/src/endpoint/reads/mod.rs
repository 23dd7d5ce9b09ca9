use std::{
    pin::pin,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use futures::future::{Either, join, select};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::{
    EndpointError, ErrorClass, Execution, Failure, HealthProbe, PurposeRule, Read, ReadOnlyWriter, Reader,
    ReaderConnections, ReaderStatus, Relation, Resort, Served, ServedBy, Statement, WriterStatus,
    bypass::BypassReason,
    health::{EndpointHealth, HEALTH_TIMEOUT, is_quick},
    resort,
    token_bucket::TokenBucket,
};
use crate::lock::lock;

/// So many reads may go to the writer at once because the reader failed or lags, and one more each second: per
/// process, and a process serves one caller at a time.
const FALLBACK_BURST: u32 = 10;
const FALLBACK_REFILL: Duration = Duration::from_secs(1);

/// Reads on the reader, and on the writer where the reader cannot serve or may not. There is no other way to the
/// rows of a purpose that reads here, and none past the rule:
///
/// ```compile_fail,E0616
/// use shared::endpoint::{ReadOnlyWriter, ReplicaReads};
///
/// fn the_writer_for_anything(reads: &ReplicaReads) -> &ReadOnlyWriter {
///     &reads.writer
/// }
/// ```
#[derive(Debug)]
pub struct ReplicaReads {
    reader: ReaderConnections,
    writer: ReadOnlyWriter,
    probe: HealthProbe,
    health: Mutex<EndpointHealth>,
    fallbacks: Mutex<TokenBucket>,
}

impl ReplicaReads {
    /// Wraps the two endpoints. Sends nothing.
    #[must_use]
    pub fn new(reader: ReaderConnections, writer: ReadOnlyWriter, probe: HealthProbe) -> Self {
        let fallbacks = Mutex::new(TokenBucket::full(FALLBACK_BURST, FALLBACK_REFILL, Instant::now()));
        Self { reader, writer, probe, health: Mutex::default(), fallbacks }
    }

    /// Reads on the reader, and where it cannot serve or may not, on the writer. The reader has a third of the time
    /// until `deadline`, so that there is time left for the writer.
    ///
    /// # Errors
    /// [`EndpointError`] of the reader where the writer is no resort or its budget is used up, else of the writer.
    pub async fn fetch<T: DeserializeOwned>(
        &self,
        rule: &PurposeRule,
        statement: Statement<Read>,
        deadline: Instant,
    ) -> Result<Served<Vec<T>>, EndpointError> {
        match self.fetch_on_reader(rule, &statement, deadline).await {
            Ok(found) => Ok(Served { found, by: ServedBy::Reader }),
            Err(reason) => self.fetch_on_writer(rule, reason, statement, deadline).await,
        }
    }

    /// The same for a caller that names the version it has seen: where the rows' `version` is before it, or there are
    /// none, the reader has not replayed it, and the writer is asked once.
    ///
    /// # Errors
    /// As [`ReplicaReads::fetch`].
    pub async fn fetch_at_least<T: DeserializeOwned>(
        &self,
        rule: &PurposeRule,
        statement: Statement<Read>,
        min_version: Option<i64>,
        version: impl Fn(&[T]) -> Option<i64>,
        deadline: Instant,
    ) -> Result<Served<Vec<T>>, EndpointError> {
        let served = self.fetch(rule, statement.clone(), deadline).await?;
        let shown = version(&served.found).unwrap_or(0);
        if served.by != ServedBy::Reader || min_version.is_none_or(|min_version| shown >= min_version) {
            return Ok(served);
        }
        self.fetch_on_writer(rule, BypassReason::BehindCaller, statement, deadline).await
    }

    async fn fetch_on_reader<T: DeserializeOwned>(
        &self,
        rule: &PurposeRule,
        statement: &Statement<Read>,
        deadline: Instant,
    ) -> Result<Vec<T>, BypassReason> {
        let known = self.health().clone();
        let is_due = known.is_due();
        if is_due && !known.reader_is_in() {
            // Only the writer's word opens the way to the reader.
            self.ask_writer(deadline).await;
        }
        let is_fresh = !is_due || !known.reader_is_in();
        if let Some(reason) = self.health().bypass(rule).filter(|_| is_fresh) {
            return Err(reason);
        }
        if let Some(silence) = known.silence().filter(|_| !is_due) {
            return Err(BypassReason::ReaderFailed(silence.clone()));
        }

        let now = Instant::now();
        let share = now + deadline.saturating_duration_since(now) / 3;
        let read = self.reader.reads.fetch(statement.clone(), share);
        let found =
            if is_due { self.refresh_beside(read, rule, &known, deadline).await? } else { read.await };
        let mut health = self.health();
        match &found {
            Ok(_) => health.note_answer(),
            Err(error) => health.note_failure(error, is_quick(rule)),
        }
        match health.bypass(rule) {
            Some(reason) => Err(reason),
            None => found.map_err(BypassReason::ReaderFailed),
        }
    }

    /// Reads while the endpoints say how they stand. Nobody waits for a reader that they say may not answer, nor for
    /// one that was silent and still is.
    async fn refresh_beside<T>(
        &self,
        read: impl Future<Output = T>,
        rule: &PurposeRule,
        known: &EndpointHealth,
        deadline: Instant,
    ) -> Result<T, BypassReason> {
        let refreshed = self.refresh_health(known.reader_is_in(), deadline);
        match select(pin!(read), pin!(refreshed)).await {
            Either::Left((found, refreshed)) => {
                refreshed.await;
                Ok(found)
            }
            Either::Right(((), read)) => {
                let (bypass, silence) = {
                    let health = self.health();
                    (health.bypass(rule), health.silence().cloned())
                };
                let is_still_silent = silence.filter(|_| known.silence().is_some());
                match bypass.or(is_still_silent.map(BypassReason::ReaderFailed)) {
                    Some(reason) => Err(reason),
                    None => Ok(read.await),
                }
            }
        }
    }

    /// Asks the writer, and says why.
    async fn fetch_on_writer<T: DeserializeOwned>(
        &self,
        rule: &PurposeRule,
        reason: BypassReason,
        statement: Statement<Read>,
        deadline: Instant,
    ) -> Result<Served<Vec<T>>, EndpointError> {
        let purpose = rule.name;
        let by = match reason {
            BypassReason::ReaderOff => {
                tracing::info!(counter = "reader_off", purpose, "operators have taken the reader out");
                ServedBy::WriterReaderOff
            }
            BypassReason::BehindCaller => {
                tracing::info!(counter = "stale_read_avoided", purpose, "the reader is behind its caller");
                ServedBy::WriterBehindCaller
            }
            BypassReason::ReaderLagging => {
                self.spend_fallback(purpose, past_bound())?;
                tracing::warn!(counter = "reader_lagging", purpose, "the reader lags past its bound");
                ServedBy::WriterReaderLagging
            }
            BypassReason::ReaderFailed(error) if resort(rule, error.class()) != Resort::Writer => {
                return Err(error);
            }
            BypassReason::ReaderFailed(error) => {
                let error = self.spend_fallback(purpose, error)?;
                tracing::warn!(%error, counter = "fallback", purpose, "the reader cannot serve");
                ServedBy::WriterReaderFailed
            }
        };
        let is_due = self.health().writer_is_due();
        if is_due {
            self.ask_writer(deadline).await;
        }
        if self.health().writer_is_read_only() {
            return Err(read_only());
        }
        Ok(Served { found: self.writer.fetch(statement, deadline).await?, by })
    }

    /// Takes one of the reads that the writer has to spare, or gives `error` to the caller.
    fn spend_fallback(
        &self,
        purpose: &'static str,
        error: EndpointError,
    ) -> Result<EndpointError, EndpointError> {
        if lock(&self.fallbacks).take(Instant::now()) {
            return Ok(error);
        }
        tracing::warn!(%error, counter = "fallback_refused", purpose, "fallback to the writer refused: too many at once");
        Err(error)
    }

    /// Asks the reader how it stands, and the writer too unless that was done just now.
    async fn refresh_health(&self, writer_too: bool, deadline: Instant) {
        let until = deadline.min(Instant::now() + HEALTH_TIMEOUT);
        let writer = async {
            if writer_too {
                self.ask_writer(deadline).await;
            }
        };
        let reader = self.reader.probes.fetch::<ReaderStatus>(self.probe.reader.clone(), until);
        let ((), reader) = join(writer, reader).await;
        let Some(reader) = reader.map(|mut rows| rows.pop()).transpose() else { return };
        if self.health().learn_reader(&reader) == Some(Relation::Collapsed) {
            tracing::info!(counter = "endpoints_collapsed", "reader and writer are one server");
        }
    }

    /// Asks the writer how it stands, and when the reader may be asked.
    async fn ask_writer(&self, deadline: Instant) {
        self.health().begin_asking();
        let until = deadline.min(Instant::now() + HEALTH_TIMEOUT);
        match self.writer.fetch::<WriterStatus>(self.probe.writer.clone(), until).await {
            Ok(mut rows) => {
                let Some(status) = rows.pop() else { return };
                if status.identity.read_only {
                    tracing::error!(counter = "endpoints_inverted", "the writer is in recovery or read-only");
                }
                self.health().learn_writer(status);
            }
            Err(error) => tracing::warn!(%error, "the writer did not answer its health check"),
        }
    }

    fn health(&self) -> MutexGuard<'_, EndpointHealth> {
        lock(&self.health)
    }
}

/// The answer to callers for whom the writer is not asked any more.
fn past_bound() -> EndpointError {
    let failure = Failure::new(Execution::DidNotRun, ErrorClass::Unavailable)
        .with_detail("the reader lags past the operators' bound");
    EndpointError { endpoint: Reader::NAME, statement: "reader_status", attempts: 1, failure }
}

fn read_only() -> EndpointError {
    let failure = Failure::new(Execution::DidNotRun, ErrorClass::ReadOnly)
        .with_detail("the writer is in recovery or read-only: the endpoints are swapped, or fail over");
    EndpointError { endpoint: ReadOnlyWriter::NAME, statement: "writer_status", attempts: 1, failure }
}

#[cfg(test)]
mod tests;
