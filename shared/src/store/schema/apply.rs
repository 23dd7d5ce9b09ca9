use serde::Serialize;

use super::{
    Patience, Roles, Script,
    history::{History, Recorded},
    refusal::{SchemaError, Step},
    run::{Run, Work, write},
    script::Index,
};
use crate::{endpoint::Schema, store::Store};

const ENCODING: (&str, &str) = ("schema_encoding", include_str!("sql/encoding.sql"));
const VERSIONS_TABLE: (&str, &str) = ("schema_versions_table", include_str!("sql/versions_table.sql"));
const VERSIONS_GRANT: (&str, &str) = ("schema_versions_grant", include_str!("sql/versions_grant.sql"));
const VERSIONS: (&str, &str) = ("schema_versions", include_str!("sql/versions.sql"));
const RECORD: (&str, &str) = ("schema_record", include_str!("sql/record.sql"));
const PUBLICATION: (&str, &str) = ("schema_publication", include_str!("sql/publication.sql"));

/// The encoding that holds whatever a registry says.
const UTF8: &str = "UTF8";

/// What an application came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// The scripts that were new to the database and that this run applied, in order.
    pub applied: Vec<&'static str>,
    /// The newest script that the database has now.
    pub newest: String,
}

impl Store<Schema> {
    /// Gives the roles their passwords and brings the schema to the end of `scripts`. Each script is applied whole or
    /// not at all, and is recorded with it, so a run that ends early is continued by the next, and one that finds
    /// everything does nothing. Runs at the same time take turns. `newer_is_known` is how far a database may be ahead
    /// of `scripts`: one that a newer version left is otherwise refused, and if it is not only the passwords are set.
    /// Where there is a role for replication the tables are published.
    ///
    /// Whoever uses the tables goes on: no lock is waited for longer than 2 seconds, nor asked for again before 3 more
    /// have passed. An attempt that met something passing (a lock, a cluster that wakes up, a lost answer) is repeated
    /// for as long as `patience` lasts.
    ///
    /// # Errors
    /// [`SchemaError`] says what was not done and why, holding no secret. Scripts that were applied before it stay.
    pub async fn apply(
        &self,
        scripts: &[Script],
        newer_is_known: u16,
        roles: &Roles,
        patience: Patience,
    ) -> Result<Applied, SchemaError> {
        let known = Known { scripts, newer_is_known };
        self.in_transaction(Prepare { known, roles }, patience).await?;
        let mut applied = Vec::new();
        loop {
            match self.in_transaction(Continue { known, roles }, patience).await? {
                Next::Applied(script) => applied.push(script),
                Next::Make(script, index) => {
                    Box::pin(self.make_index(&script, index, patience)).await?;
                    if self.in_transaction(Made { known, script }, patience).await? {
                        applied.push(script.name);
                    }
                }
                Next::Nothing { newest } => return Ok(Applied { applied, newest }),
            }
        }
    }
}

/// What this version knows.
#[derive(Clone, Copy)]
struct Known<'a> {
    scripts: &'a [Script],
    newer_is_known: u16,
}

/// What comes before the first script.
struct Prepare<'a> {
    known: Known<'a>,
    roles: &'a Roles,
}

/// The next script, if there is one.
struct Continue<'a> {
    known: Known<'a>,
    roles: &'a Roles,
}

/// What came next.
enum Next {
    /// A script, which is applied now.
    Applied(&'static str),
    /// A script that is no transaction.
    Make(Script, Index),
    /// The end.
    Nothing { newest: String },
}

/// A script that was no transaction, to be recorded.
struct Made<'a> {
    known: Known<'a>,
    script: Script,
}

impl Work for Prepare<'_> {
    type Done = ();

    async fn run(&self, run: &Run<'_>) -> Result<(), SchemaError> {
        let encoding = run.fetch(Step::Encoding, &write(ENCODING)).await?.into_iter().next();
        if let Some(found) = encoding.filter(|found| found != UTF8) {
            return Err(SchemaError::Encoding { found });
        }
        run.roles(self.roles).await?;
        run.send(Step::History, &write(VERSIONS_TABLE)).await?;
        run.send(Step::History, &write(VERSIONS_GRANT)).await?;
        run.history(self.known).await.map(drop)
    }
}

impl Work for Continue<'_> {
    type Done = Next;

    async fn run(&self, run: &Run<'_>) -> Result<Next, SchemaError> {
        let History { pending, newest, is_newer } = run.history(self.known).await?;
        if let Some(script) = pending.first() {
            if let Some(index) = script.index() {
                return Ok(Next::Make(*script, index));
            }
            run.script(script).await?;
            return Ok(Next::Applied(script.name));
        }
        // What a newer version publishes this one does not know.
        if self.roles.replication.is_some() && !is_newer {
            run.send(Step::Publication, &write(PUBLICATION)).await?;
        }
        Ok(Next::Nothing { newest })
    }
}

impl Work for Made<'_> {
    type Done = bool;

    /// Whether nobody else has recorded it.
    async fn run(&self, run: &Run<'_>) -> Result<bool, SchemaError> {
        let mine = run.history(self.known).await?.pending.first() == Some(&self.script);
        if mine {
            run.record(&self.script).await?;
        }
        Ok(mine)
    }
}

impl Run<'_> {
    async fn history<'a>(&self, known: Known<'a>) -> Result<History<'a>, SchemaError> {
        let recorded = Recorded::read(&self.fetch(Step::History, &write(VERSIONS)).await?)?;
        History::of(&recorded, known.scripts, known.newer_is_known)
    }

    async fn script(&self, script: &Script) -> Result<(), SchemaError> {
        let statements = script.statements();
        for (index, sql) in statements.iter().enumerate() {
            let step = Step::Script { name: script.name, statement: index + 1, of: statements.len() };
            self.send(step, &write((script.name, sql))).await?;
        }
        self.record(script).await
    }

    async fn record(&self, script: &Script) -> Result<(), SchemaError> {
        let record = write(RECORD)
            .bind("number", i32::from(script.number))
            .bind("name", script.name)
            .bind("checksum", script.checksum());
        self.send(Step::History, &record).await
    }
}
