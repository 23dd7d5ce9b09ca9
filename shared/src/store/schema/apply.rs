use serde::Serialize;
use tokio::time::Instant;

use super::{
    Roles, Script,
    history::{Recorded, pending},
    refusal::{SchemaError, Step},
    run::{Run, Work, write},
};
use crate::{
    endpoint::{Schema, Statement, Write},
    store::Store,
};

const WAIT: (&str, &str) = ("schema_wait", include_str!("sql/wait.sql"));
const LOCK: (&str, &str) = ("schema_lock", include_str!("sql/lock.sql"));
const VERSIONS_TABLE: (&str, &str) = ("schema_versions_table", include_str!("sql/versions_table.sql"));
const VERSIONS: (&str, &str) = ("schema_versions", include_str!("sql/versions.sql"));
const RECORD: (&str, &str) = ("schema_record", include_str!("sql/record.sql"));
const PUBLICATION: (&str, &str) = ("schema_publication", include_str!("sql/publication.sql"));

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
    /// newer version left is otherwise refused. Where there is a role for replication the tables are published.
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
        roles: &Roles,
        deadline: Instant,
    ) -> Result<Applied, SchemaError> {
        self.in_transaction(Apply { scripts, newer_is_known, roles }, deadline).await
    }
}

struct Apply<'a> {
    scripts: &'a [Script],
    newer_is_known: u16,
    roles: &'a Roles,
}

impl Work for Apply<'_> {
    type Done = Applied;

    async fn run(&self, run: &Run<'_>) -> Result<Applied, SchemaError> {
        for (step, statement) in one_at_a_time() {
            run.send(step, &statement).await?;
        }
        run.roles(self.roles).await?;
        run.send(Step::History, &write(VERSIONS_TABLE)).await?;
        let recorded = Recorded::read(&run.fetch(Step::History, &write(VERSIONS)).await?)?;
        let pending = pending(&recorded, self.scripts, self.newer_is_known)?;
        for script in pending {
            run.script(script).await?;
        }
        if self.roles.replication.is_some() {
            run.send(Step::Publication, &write(PUBLICATION)).await?;
        }
        let newest = pending.last().map(|script| script.name.to_owned());
        Ok(Applied {
            applied: pending.iter().map(|script| script.name).collect(),
            newest: newest.or_else(|| recorded.last().map(|last| last.name.clone())).unwrap_or_default(),
        })
    }
}

/// What a transaction begins with, so that no two work at once and none waits for ever.
pub(super) fn one_at_a_time() -> [(Step, Statement<Write>); 2] {
    [(Step::Lock, write(WAIT)), (Step::Lock, write(LOCK))]
}

impl Run<'_> {
    async fn script(&self, script: &Script) -> Result<(), SchemaError> {
        let statements = script.statements();
        for (index, sql) in statements.iter().enumerate() {
            let step = Step::Script { name: script.name, statement: index + 1, of: statements.len() };
            self.send(step, &write((script.name, sql))).await?;
        }
        let record = write(RECORD)
            .bind("number", i32::from(script.number))
            .bind("name", script.name)
            .bind("checksum", script.checksum());
        self.send(Step::History, &record).await
    }
}
