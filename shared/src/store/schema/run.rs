use std::{
    pin::pin,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use backon::{ExponentialBuilder, Retryable};
use tokio::time::{Instant, sleep};

use super::refusal::{SchemaError, Step, Waited};
use crate::{
    endpoint::{Failure, Schema, Statement, Transaction, Write},
    store::Store,
};

const ISOLATION: (&str, &str) = ("schema_isolation", include_str!("sql/isolation.sql"));
const STAND_BACK: (&str, &str) = ("schema_stand_back", include_str!("sql/stand_back.sql"));
const LOCK: (&str, &str) = ("schema_lock", include_str!("sql/lock.sql"));
const HOLDER: (&str, &str) = ("schema_holder", include_str!("sql/holder.sql"));

/// The longest that one call is waited for: the service itself ends it after 45 seconds.
const CALL: Duration = Duration::from_secs(50);

/// The longest that a lock is waited for, and a little more: see `sql/stand_back.sql`.
const TO_LOCK: Duration = Duration::from_millis(2500);

/// What others have between two waits for a lock, so that those who queued behind the first are served.
const TO_OTHERS: Duration = Duration::from_secs(3);

/// How long a statement of ours may take before it is asked whom it waits for.
const UNTIL_LOOKED: Duration = Duration::from_secs(1);

/// The longest that a transaction is waited for to be rolled back. One that is not keeps its locks for seconds.
const ROLLBACK: Duration = Duration::from_secs(5);

/// What it may take beyond the deadline.
const GRACE: Duration = Duration::from_millis(500);

/// How often it is said that something is still waited for.
const SAY_EACH: Duration = Duration::from_secs(10);

/// The pauses between two attempts.
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_max_delay(Duration::from_secs(3))
    .with_factor(2.0)
    .without_max_times()
    .with_jitter();

/// How long it may take until everybody has heard of a permission or a cluster that is new.
pub const TO_SPREAD: Duration = Duration::from_secs(60);

/// How long what passes by itself is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    deadline: Instant,
    for_what_is_new: bool,
}

impl Patience {
    /// Until `deadline`.
    #[must_use]
    pub const fn until(deadline: Instant) -> Self {
        Self { deadline, for_what_is_new: false }
    }

    /// The same, where the cluster may have been made just now.
    #[must_use]
    pub const fn for_what_is_new(self) -> Self {
        Self { for_what_is_new: true, ..self }
    }

    pub(super) fn longer(self, by: Duration) -> Self {
        Self { deadline: self.deadline + by, ..self }
    }

    /// When a call that begins now must be answered.
    fn call(self) -> Instant {
        self.deadline.min(Instant::now() + CALL)
    }

    /// Makes attempts until one succeeds, or fails for good, or there is no time for another.
    pub(super) async fn repeat<T, F>(self, attempt: impl FnMut() -> F) -> Result<T, SchemaError>
    where
        F: Future<Output = Result<T, SchemaError>>,
    {
        let began = Instant::now();
        let waited =
            || Waited { is_short: began.elapsed() < TO_SPREAD, for_what_is_new: self.for_what_is_new };
        let said: Mutex<Option<Instant>> = Mutex::new(None);
        attempt
            .retry(PAUSES)
            .when(|error: &SchemaError| error.may_pass(waited()))
            .adjust(|error, pause| {
                let pause = if error.is_of_a_lock() { TO_OTHERS } else { pause? };
                (Instant::now() + pause + TO_LOCK < self.deadline).then_some(pause)
            })
            .notify(|error, _| {
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                if said.is_none_or(|at| at.elapsed() >= SAY_EACH) {
                    *said = Some(Instant::now());
                    tracing::warn!(%error, "the schema is not applied yet; trying again");
                }
            })
            .await
    }
}

/// What is done in one transaction.
pub(super) trait Work: Sync {
    /// What it came to.
    type Done: Send;

    /// Does it. Repeated, it must see by itself what an earlier attempt has committed.
    fn run(&self, run: &Run<'_>) -> impl Future<Output = Result<Self::Done, SchemaError>> + Send;
}

/// Statements, one after the other.
pub(super) struct Each<const N: usize>(pub(super) [(Step, Statement<Write>); N]);

impl<const N: usize> Work for Each<N> {
    type Done = ();

    async fn run(&self, run: &Run<'_>) -> Result<(), SchemaError> {
        for (step, statement) in &self.0 {
            run.send(*step, statement).await?;
        }
        Ok(())
    }
}

/// A question: the first row of its answer, if it has one.
pub(super) struct Ask(pub(super) Step, pub(super) Statement<Write>);

impl Work for Ask {
    type Done = Option<String>;

    async fn run(&self, run: &Run<'_>) -> Result<Option<String>, SchemaError> {
        Ok(run.fetch(self.0, &self.1).await?.into_iter().next())
    }
}

impl Store<Schema> {
    /// Does `work` in one transaction: all of it or nothing. No two of these are at work at once in one database. An
    /// attempt that met something passing (a cluster that wakes up, a conflict, a lost answer) is repeated from its
    /// beginning.
    pub(super) async fn in_transaction<W: Work>(
        &self,
        work: W,
        patience: Patience,
    ) -> Result<W::Done, SchemaError> {
        // On the heap: it is large, and whoever awaits it is too.
        patience.repeat(|| Box::pin(self.attempt(&work, patience))).await
    }

    async fn attempt<W: Work>(&self, work: &W, patience: Patience) -> Result<W::Done, SchemaError> {
        let transaction = self
            .endpoint
            .begin(patience.call())
            .await
            .map_err(|failure| SchemaError::failed(Step::Begin, failure))?;
        let mut run = Run { store: self, transaction: &transaction, process: None, patience };
        let result = run.commit_after(work).await;
        if result.is_err() {
            let until = (Instant::now() + ROLLBACK).min(patience.deadline + GRACE);
            if let Err(failure) = transaction.roll_back(until).await {
                tracing::debug!(%failure, "the transaction is not known to be rolled back");
            }
        }
        result
    }

    /// Runs what commits by itself and cannot be in a transaction. Sent once; the database goes on with it after the
    /// service has given up waiting for it.
    pub(super) async fn alone(
        &self,
        step: Step,
        statement: &Statement<Write>,
        patience: Patience,
    ) -> Result<(), SchemaError> {
        let sent = self.endpoint.run_alone(statement, patience.call()).await;
        sent.map_err(|failure| SchemaError::failed(step, failure))
    }

    /// The session that a process waits for, in words for who can end it. None where it waits for none, or where nobody
    /// knows.
    pub(super) async fn holder(&self, process: i32, patience: Patience) -> Option<String> {
        let statement = write(HOLDER).bind("pid", i64::from(process));
        let found = self.endpoint.fetch_alone(&statement, patience.call()).await;
        let found = found.inspect_err(|failure| tracing::debug!(%failure, "nobody knows who holds the lock"));
        found.ok()?.into_iter().next()
    }
}

/// One attempt, under way.
pub(super) struct Run<'a> {
    store: &'a Store<Schema>,
    transaction: &'a Transaction<'a>,
    process: Option<i32>,
    patience: Patience,
}

impl Run<'_> {
    async fn commit_after<W: Work>(&mut self, work: &W) -> Result<W::Done, SchemaError> {
        self.send(Step::Begin, &write(ISOLATION)).await?;
        let process = self.fetch(Step::Begin, &write(STAND_BACK)).await?;
        self.process = process.first().and_then(|process| process.parse().ok());
        self.send(Step::Lock, &write(LOCK)).await?;
        let done = work.run(self).await?;
        let committed = self.transaction.commit(self.patience.call()).await;
        committed.map_err(|failure| SchemaError::failed(Step::Commit, failure))?;
        Ok(done)
    }

    pub(super) async fn send(&self, step: Step, statement: &Statement<Write>) -> Result<(), SchemaError> {
        self.watched(step, self.transaction.run(statement, self.patience.call())).await
    }

    /// The one text column of every row.
    pub(super) async fn fetch(
        &self,
        step: Step,
        statement: &Statement<Write>,
    ) -> Result<Vec<String>, SchemaError> {
        self.watched(step, self.transaction.fetch(statement, self.patience.call())).await
    }

    /// A statement that takes long is asked whom it waits for, while it does: afterwards nobody can tell.
    async fn watched<T>(
        &self,
        step: Step,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, SchemaError> {
        let mut call = pin!(call);
        let look = async {
            sleep(UNTIL_LOOKED).await;
            self.store.holder(self.process?, self.patience).await
        };
        let (sent, holder) = tokio::select! {
            biased;
            sent = &mut call => (sent, None),
            holder = look => (call.await, holder),
        };
        sent.map_err(|failure| {
            SchemaError::failed(
                step,
                match holder {
                    Some(holder) if failure.detail.is_none() => {
                        failure.with_detail(format!("held by {holder}"))
                    }
                    _ => failure,
                },
            )
        })
    }
}

/// A statement with its name.
pub(super) fn write((name, sql): (&'static str, &'static str)) -> Statement<Write> {
    Statement::write_once(name, sql)
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, time::Duration};

    use tokio::time::Instant;

    use super::{Patience, TO_SPREAD};
    use crate::{
        endpoint::{ErrorClass, Execution, Failure, SqlState},
        store::schema::{SchemaError, Step},
        telemetry::{LogLevel, capture::Capture},
    };

    fn failed(failure: Failure) -> SchemaError {
        SchemaError::failed(Step::Begin, failure)
    }

    fn coded(code: &str) -> SchemaError {
        failed(Failure::new(Execution::DidNotRun, ErrorClass::Misconfigured).with_code(code))
    }

    /// When it tried, from the beginning, until it gave up.
    async fn tried(error: SchemaError, seconds: u64, for_what_is_new: bool) -> Vec<Duration> {
        let began = Instant::now();
        let patience = Patience::until(began + Duration::from_secs(seconds));
        let patience = if for_what_is_new { patience.for_what_is_new() } else { patience };
        let times = Mutex::new(Vec::new());
        let attempt = async || {
            times.lock().unwrap().push(began.elapsed());
            Err::<(), _>(error.clone())
        };
        assert_eq!(patience.repeat(attempt).await, Err(error.clone()));
        times.into_inner().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn lets_others_pass_after_it_waited_for_a_lock() {
        let lock = failed(Failure::of_postgres(SqlState::parse("55P03").unwrap(), ""));
        let tried = tried(lock, 60, false).await;
        assert!(tried.len() > 15, "{tried:?}");
        assert!(tried.windows(2).all(|two| two[1] - two[0] >= Duration::from_secs(3)), "{tried:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn waits_a_minute_for_what_is_new_to_be_known() {
        let (denied, no_cluster) = ("AccessDeniedException", "HttpEndpointNotEnabledException");
        for (code, for_what_is_new) in [(denied, false), (denied, true), (no_cluster, true)] {
            let tried = tried(coded(code), 290, for_what_is_new).await;
            let last = *tried.last().unwrap();
            assert!((TO_SPREAD..TO_SPREAD + Duration::from_secs(7)).contains(&last), "{code}: {last:?}");
        }
        for (code, for_what_is_new) in [(no_cluster, false), ("ForbiddenException", true)] {
            assert_eq!(tried(coded(code), 290, for_what_is_new).await.len(), 1, "{code}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn says_each_ten_seconds_that_it_waits() {
        let log = Capture::begin("test", LogLevel::default());
        let resuming = failed(Failure::new(Execution::DidNotRun, ErrorClass::Resuming));
        let tried = tried(resuming, 60, false).await;
        let said = log.text().matches("trying again").count();
        assert!((5..=6).contains(&said) && tried.len() > 12, "{said} of {}", tried.len());
    }
}
