use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use tokio::time::Instant;

use super::refusal::{SchemaError, Step};
use crate::{
    endpoint::{Schema, Statement, Transaction, Write},
    store::Store,
};

/// The longest that one call is waited for: the service itself ends it after 45 seconds.
const CALL: Duration = Duration::from_secs(50);

/// The longest that a transaction is waited for to be rolled back. One that is not keeps its locks for minutes.
const ROLLBACK: Duration = Duration::from_secs(5);

/// What it may take beyond the deadline.
const GRACE: Duration = Duration::from_millis(500);

/// The pauses between two attempts.
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_max_delay(Duration::from_secs(3))
    .with_factor(2.0)
    .without_max_times()
    .with_jitter();

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

/// A question that is answered by yes or no.
pub(super) struct Ask(pub(super) Step, pub(super) (&'static str, &'static str));

impl Work for Ask {
    type Done = bool;

    async fn run(&self, run: &Run<'_>) -> Result<bool, SchemaError> {
        Ok(run.fetch(self.0, &write(self.1)).await? == ["true"])
    }
}

impl Store<Schema> {
    /// Does `work` in one transaction: all of it or nothing. An attempt that met something passing (a cluster that
    /// wakes up, a conflict, a lost answer) is repeated from its beginning until `deadline`.
    pub(super) async fn in_transaction<W: Work>(
        &self,
        work: W,
        deadline: Instant,
    ) -> Result<W::Done, SchemaError> {
        let attempt = || self.attempt(&work, deadline);
        attempt
            .retry(PAUSES)
            .when(SchemaError::may_pass)
            .adjust(|_, pause| pause.filter(|pause| Instant::now() + *pause < deadline))
            .notify(|error, _| tracing::warn!(%error, "the schema was not applied; trying again"))
            .await
    }

    async fn attempt<W: Work>(&self, work: &W, deadline: Instant) -> Result<W::Done, SchemaError> {
        let transaction = self
            .endpoint
            .begin(call(deadline))
            .await
            .map_err(|failure| SchemaError::failed(Step::Begin, failure))?;
        let run = Run { transaction: &transaction, deadline };
        let result = run.to_the_commit(work).await;
        if result.is_err() {
            let until = (Instant::now() + ROLLBACK).min(deadline + GRACE);
            if let Err(failure) = transaction.roll_back(until).await {
                tracing::debug!(%failure, "the transaction is not known to be rolled back");
            }
        }
        result
    }

    /// Runs what commits by itself and cannot be in a transaction. Sent once.
    pub(super) async fn alone(
        &self,
        step: Step,
        statement: &Statement<Write>,
        deadline: Instant,
    ) -> Result<(), SchemaError> {
        let sent = self.endpoint.run_alone(statement, call(deadline)).await;
        sent.map_err(|failure| SchemaError::failed(step, failure))
    }
}

/// One attempt, under way.
pub(super) struct Run<'a> {
    transaction: &'a Transaction<'a>,
    deadline: Instant,
}

impl Run<'_> {
    async fn to_the_commit<W: Work>(&self, work: &W) -> Result<W::Done, SchemaError> {
        let done = work.run(self).await?;
        let committed = self.transaction.commit(call(self.deadline)).await;
        committed.map_err(|failure| SchemaError::failed(Step::Commit, failure))?;
        Ok(done)
    }

    pub(super) async fn send(&self, step: Step, statement: &Statement<Write>) -> Result<(), SchemaError> {
        let sent = self.transaction.run(statement, call(self.deadline)).await;
        sent.map_err(|failure| SchemaError::failed(step, failure))
    }

    /// The one text column of every row.
    pub(super) async fn fetch(
        &self,
        step: Step,
        statement: &Statement<Write>,
    ) -> Result<Vec<String>, SchemaError> {
        let rows = self.transaction.fetch(statement, call(self.deadline)).await;
        rows.map_err(|failure| SchemaError::failed(step, failure))
    }
}

/// A statement with its name.
pub(super) fn write((name, sql): (&'static str, &'static str)) -> Statement<Write> {
    Statement::write(name, sql)
}

/// When a call that begins now must be answered.
fn call(deadline: Instant) -> Instant {
    deadline.min(Instant::now() + CALL)
}
