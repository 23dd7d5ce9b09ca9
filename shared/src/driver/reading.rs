use std::{
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::time::Instant;

use crate::{
    endpoint::{
        Bucket, EndpointError, ErrorClass, Failure, Outcome, Purpose, PurposeRule, ReadOnlyWriter, Reader,
        ReaderRule, Relation, Resort, Standing, resort, resort_past_bound,
    },
    freshness::FetchedAt,
    store,
};

/// How long what is known of the endpoints holds: so long after its change an operator's switch works everywhere.
pub const KNOWN_FOR: Duration = Duration::from_secs(30);

/// How soon they are asked again where the writer did not answer, or the reader lags: the writer is to be spared
/// again as soon as it has caught up.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// How long an endpoint may take to say how it stands. Nobody's answer waits for longer because of that.
const TO_SAY: Duration = Duration::from_secs(1);

/// So many may ask the writer at once because the reader failed or lags, and one more each second: per process, and
/// a process serves one caller at a time.
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
    /// The writer, because the reader lagged past the operators' bound.
    WriterReaderLagging,
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
    /// When the endpoints were last asked how they stand, by either clock, and whether the writer said.
    asked: Option<(FetchedAt, bool)>,
    standing: Option<Standing>,
    /// What the two are to each other, once that was told.
    relation: Option<Relation>,
    /// The reader lags past the operators' bound.
    lagging: bool,
}

/// Why the writer is asked instead.
enum Instead {
    Off,
    Lagging,
    Failed(EndpointError),
}

impl Known {
    fn is_due(&self) -> bool {
        let inverted = self.standing.as_ref().is_some_and(|standing| standing.identity.read_only);
        self.asked.is_none_or(|(at, said)| {
            at.is_older_than(if said && !self.lagging { KNOWN_FOR } else { ASKED_AGAIN_AFTER }) || inverted
        })
    }

    fn reader_is_off(&self) -> bool {
        self.standing.as_ref().is_some_and(|standing| !standing.rule.reader_enabled)
    }

    /// Why the reader may not answer for a purpose, whatever it says.
    fn instead(&self, rule: &PurposeRule) -> Option<Instead> {
        if self.reader_is_off() {
            Some(Instead::Off)
        } else if self.lagging && resort_past_bound(rule) == Some(Resort::Writer) {
            Some(Instead::Lagging)
        } else {
            None
        }
    }
}

/// Whether the reader lags past the bound. Where it does not say which mark it has, what was known of it stays.
fn lags(rule: ReaderRule, mark: Option<i64>, before: bool) -> bool {
    rule.due_mark.is_some() && mark.map_or(before, |mark| rule.is_past_bound(mark))
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
        let instead = match known.instead(&P::RULE).filter(|_| !known.is_due()) {
            Some(instead) => instead,
            None => {
                let now = Instant::now();
                let share = now + deadline.saturating_duration_since(now) / 3;
                let (found, ()) = tokio::join!(read(share), self.learn(deadline));
                match (self.known().instead(&P::RULE), found) {
                    (Some(instead), _) => instead,
                    (None, Ok(found)) => return Ok((found, Served::Reader)),
                    (None, Err(error)) => Instead::Failed(error),
                }
            }
        };
        let purpose = P::RULE.name;
        let (error, served) = match instead {
            Instead::Off => {
                tracing::info!(counter = "reader_off", purpose, "operators have taken the reader out");
                return Ok((self.latest(latest, deadline).await?, Served::WriterReaderOff));
            }
            Instead::Failed(error) if resort(&P::RULE, error.class()) != Resort::Writer => return Err(error),
            Instead::Failed(error) => (error, Served::WriterReaderFailed),
            Instead::Lagging => (past_bound(), Served::WriterReaderLagging),
        };
        let may = self.budget.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now());
        if !may {
            tracing::warn!(%error, counter = "fallback_refused", purpose, "too many ask the writer");
            return Err(error);
        }
        if served == Served::WriterReaderLagging {
            tracing::warn!(counter = "reader_lagging", purpose, "the reader lags past its bound");
        } else {
            tracing::warn!(%error, counter = "fallback", purpose, "the reader cannot serve");
        }
        Ok((self.latest(latest, deadline).await?, served))
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

    /// Asks both how they stand, where that is due; a reader that was taken out is left alone.
    async fn learn(&self, deadline: Instant) {
        let off = {
            let mut known = self.known();
            if !known.is_due() {
                return;
            }
            known.asked = Some((FetchedAt::now(), false));
            known.reader_is_off()
        };
        let until = deadline.min(Instant::now() + TO_SAY);
        let seen = async { if off { None } else { store::seen(&self.reader, until).await.ok().flatten() } };
        let (standing, seen) = tokio::join!(store::standing(&self.writer, until), seen);
        let standing = match standing {
            Ok(Some(standing)) => standing,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "the writer does not say how it stands");
                return;
            }
        };
        let relation = seen.as_ref().map(|seen| Relation::of(&standing.identity, &seen.identity));
        let mut known = self.known();
        if standing.identity.read_only {
            tracing::error!(counter = "endpoints_inverted", "the writer is in recovery or read-only");
        } else if relation == Some(Relation::Collapsed) && known.relation != relation {
            tracing::info!(counter = "endpoints_collapsed", "reader and writer are one server");
        }
        known.relation = relation.or(known.relation);
        known.lagging = lags(standing.rule, seen.map(|seen| seen.mark), known.lagging);
        known.asked = Some((FetchedAt::now(), true));
        known.standing = Some(standing);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What callers are told for whom the writer is not asked any more.
fn past_bound() -> EndpointError {
    let failure = Failure::new(Outcome::DidNotRun, ErrorClass::Unavailable)
        .with_detail("the reader lags past the operators' bound");
    EndpointError { endpoint: Reader::NAME, statement: "seen", attempts: 1, failure }
}

#[cfg(test)]
mod tests {
    use super::{ASKED_AGAIN_AFTER, Instead, KNOWN_FOR, Known, lags};
    use crate::{
        endpoint::{Identity, PURPOSES, Purpose, ReaderRule, StaleScan, Standing, Status},
        freshness::FetchedAt,
    };

    fn rule(due_mark: Option<i64>) -> ReaderRule {
        ReaderRule { reader_enabled: true, due_mark }
    }

    #[test]
    fn the_reader_lags_while_it_is_known_to_lack_a_mark_that_is_due() {
        for (due, mark, before, lagging) in [
            (Some(7), Some(6), false, true),
            (Some(7), Some(7), true, false),
            // It did not say: what was known stays.
            (Some(7), None, true, true),
            (Some(7), None, false, false),
            // No bound, or nobody writes marks: there is nothing to lag behind.
            (None, Some(0), true, false),
            (None, None, true, false),
        ] {
            assert_eq!(lags(rule(due), mark, before), lagging, "{due:?} {mark:?} {before}");
        }
    }

    #[test]
    fn a_lagging_reader_is_left_out_where_rows_are_shown_and_one_that_is_off_everywhere() {
        let known = |reader_enabled, lagging| Known {
            standing: Some(Standing {
                identity: Identity { server: "1".to_owned(), read_only: false },
                rule: ReaderRule { reader_enabled, due_mark: Some(7) },
            }),
            lagging,
            ..Known::default()
        };
        for rule in PURPOSES {
            assert!(known(true, false).instead(rule).is_none(), "{rule:?}");
            assert!(matches!(known(false, true).instead(rule), Some(Instead::Off)), "{rule:?}");
        }
        assert!(matches!(known(true, true).instead(&Status::RULE), Some(Instead::Lagging)));
        assert!(known(true, true).instead(&StaleScan::RULE).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_lags_is_looked_at_again_soon() {
        let asked = Some((FetchedAt::now(), true));
        let known = |lagging| Known { asked, lagging, ..Known::default() };
        let (fine, lagging) = (known(false), known(true));
        tokio::time::advance(ASKED_AGAIN_AFTER).await;
        assert_eq!((fine.is_due(), lagging.is_due()), (false, true));
        tokio::time::advance(KNOWN_FOR - ASKED_AGAIN_AFTER).await;
        assert!(fine.is_due());
    }

    #[tokio::test]
    async fn what_is_known_grows_old_while_the_process_is_frozen() {
        let asked = |ago| Known { asked: Some((FetchedAt::frozen(ago), true)), ..Known::default() };
        assert!(!asked(KNOWN_FOR / 2).is_due());
        assert!(asked(KNOWN_FOR).is_due());
    }
}
