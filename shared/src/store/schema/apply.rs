use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tokio::time::Instant;

use super::{
    Script,
    history::{Recorded, pending},
    refusal::{SchemaError, Step},
};
use crate::{
    endpoint::{Schema, Statement, Transaction, Write},
    store::Store,
};

const WAIT: (&str, &str) = ("schema_wait", include_str!("sql/wait.sql"));
const LOCK: (&str, &str) = ("schema_lock", include_str!("sql/lock.sql"));
const VERIFIERS: (&str, &str) = ("schema_verifiers", include_str!("sql/verifiers.sql"));
const ROLES: (&str, &str) = ("schema_roles", include_str!("sql/roles.sql"));
const VERSIONS_TABLE: (&str, &str) = ("schema_versions_table", include_str!("sql/versions_table.sql"));
const VERSIONS: (&str, &str) = ("schema_versions", include_str!("sql/versions.sql"));
const RECORD: (&str, &str) = ("schema_record", include_str!("sql/record.sql"));

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

/// What PostgreSQL keeps of the roles' passwords (`SCRAM-SHA-256$…`): with them a password can be checked, and
/// cannot be found out.
#[derive(Clone, Debug)]
pub struct Verifiers {
    /// Of `migration_driver`.
    pub driver: SecretString,
    /// Of `migration_reader`.
    pub reader: SecretString,
}

/// What an application came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// The scripts that were new to the database, in order.
    pub applied: Vec<&'static str>,
    /// The newest script that the database has now.
    pub newest: String,
}

impl Store<Schema> {
    /// Brings the schema to the end of `scripts` and gives the roles their passwords, in one transaction: all of it
    /// or nothing. Scripts that were applied before are left alone, so running it again does nothing; runs at the
    /// same time wait for each other. `newer_is_known` is how far a database may be ahead of `scripts`: one that a
    /// newer version left is otherwise refused.
    ///
    /// An attempt that met something passing (a cluster that wakes up, a conflict, a lost answer) is repeated from
    /// its beginning until `deadline`. It sees by itself what an earlier one has committed.
    ///
    /// # Errors
    /// [`SchemaError`] says what was not done and why, holding no secret. Nothing of the last attempt is kept, unless
    /// it says that nobody knows.
    pub async fn apply(
        &self,
        scripts: &[Script],
        newer_is_known: u16,
        verifiers: &Verifiers,
        deadline: Instant,
    ) -> Result<Applied, SchemaError> {
        let attempt = || self.attempt(scripts, newer_is_known, verifiers, deadline);
        attempt
            .retry(PAUSES)
            .when(SchemaError::may_pass)
            .adjust(|_, pause| pause.filter(|pause| Instant::now() + *pause < deadline))
            .notify(|error, _| tracing::warn!(%error, "the schema was not applied; trying again"))
            .await
    }

    async fn attempt(
        &self,
        scripts: &[Script],
        newer_is_known: u16,
        verifiers: &Verifiers,
        deadline: Instant,
    ) -> Result<Applied, SchemaError> {
        let transaction = self
            .endpoint
            .begin(deadline.min(Instant::now() + CALL))
            .await
            .map_err(|failure| SchemaError::failed(Step::Begin, failure))?;
        let run = Run { transaction: &transaction, deadline };
        let result = run.to_the_commit(scripts, newer_is_known, verifiers).await;
        if result.is_err() {
            let until = (Instant::now() + ROLLBACK).min(deadline + GRACE);
            if let Err(failure) = transaction.roll_back(until).await {
                tracing::debug!(%failure, "the transaction is not known to be rolled back");
            }
        }
        result
    }
}

/// One attempt, under way.
struct Run<'a> {
    transaction: &'a Transaction<'a>,
    deadline: Instant,
}

impl Run<'_> {
    async fn to_the_commit(
        &self,
        scripts: &[Script],
        newer_is_known: u16,
        verifiers: &Verifiers,
    ) -> Result<Applied, SchemaError> {
        let applied = self.everything(scripts, newer_is_known, verifiers).await?;
        let committed = self.transaction.commit(self.call()).await;
        committed.map_err(|failure| SchemaError::failed(Step::Commit, failure))?;
        Ok(applied)
    }

    async fn everything(
        &self,
        scripts: &[Script],
        newer_is_known: u16,
        verifiers: &Verifiers,
    ) -> Result<Applied, SchemaError> {
        self.send(Step::Lock, write(WAIT)).await?;
        self.send(Step::Lock, write(LOCK)).await?;
        let kept = write(VERIFIERS)
            .bind("driver", verifiers.driver.expose_secret())
            .bind("reader", verifiers.reader.expose_secret());
        self.send(Step::Roles, kept).await?;
        self.send(Step::Roles, write(ROLES)).await?;
        self.send(Step::History, write(VERSIONS_TABLE)).await?;
        let rows = self.transaction.fetch(&write(VERSIONS), self.call()).await;
        let rows = rows.map_err(|failure| SchemaError::failed(Step::History, failure))?;
        let recorded = Recorded::read(&rows)?;
        let pending = pending(&recorded, scripts, newer_is_known)?;
        for script in pending {
            self.script(script).await?;
        }
        let newest = pending.last().map(|script| script.name.to_owned());
        Ok(Applied {
            applied: pending.iter().map(|script| script.name).collect(),
            newest: newest.or_else(|| recorded.last().map(|last| last.name.clone())).unwrap_or_default(),
        })
    }

    async fn script(&self, script: &Script) -> Result<(), SchemaError> {
        let statements = script.statements();
        for (index, sql) in statements.iter().enumerate() {
            let step = Step::Script { name: script.name, statement: index + 1, of: statements.len() };
            self.send(step, write((script.name, sql))).await?;
        }
        let record = write(RECORD)
            .bind("number", i32::from(script.number))
            .bind("name", script.name)
            .bind("checksum", script.checksum());
        self.send(Step::History, record).await
    }

    async fn send(&self, step: Step, statement: Statement<Write>) -> Result<(), SchemaError> {
        let sent = self.transaction.run(&statement, self.call()).await;
        sent.map_err(|failure| SchemaError::failed(step, failure))
    }

    /// When the next call must be answered.
    fn call(&self) -> Instant {
        self.deadline.min(Instant::now() + CALL)
    }
}

fn write((name, sql): (&'static str, &'static str)) -> Statement<Write> {
    Statement::write(name, sql)
}
