//! An index that is made while its table goes on being used. No transaction can hold that, so none takes it back: what
//! an earlier run left is looked at first.

use super::{
    refusal::{SchemaError, Step},
    run::{Ask, Each, Patience, write},
    script::{Index, Script},
};
use crate::{
    endpoint::{ErrorClass, Execution, Failure, Schema},
    store::Store,
};

const STATE: (&str, &str) = ("schema_index_state", include_str!("sql/index_state.sql"));
const NAME: (&str, &str) = ("schema_index_name", include_str!("sql/index_name.sql"));
const DROP: (&str, &str) = ("schema_index_drop", include_str!("sql/index_drop.sql"));

/// PostgreSQL's code for a name that is taken.
const TAKEN: &str = "42P07";

impl Store<Schema> {
    /// Makes the index of `script`, unless it is there. One that another run makes is waited for; one that was begun
    /// and not ended is made anew.
    pub(super) async fn make_index(
        &self,
        script: &Script,
        index: Index,
        patience: Patience,
    ) -> Result<(), SchemaError> {
        let step = Step::Script { name: script.name, statement: 1, of: 1 };
        let attempt = || async {
            let found =
                self.in_transaction(Ask(step, write(STATE).bind("name", index.name)), patience).await?;
            match found.as_deref().map(|found| found.split_once(' ').unwrap_or((found, ""))) {
                None => {}
                Some(("valid", _)) => return Ok(()),
                Some(("made", process)) => return Err(self.under_way(step, process, patience).await),
                Some(_) => {
                    let name = write(NAME).bind("name", index.name);
                    self.in_transaction(Each([(step, name), (step, write(DROP))]), patience).await?;
                }
            }
            self.alone(step, &write((script.name, index.create)), patience).await.map_err(another_was_faster)
        };
        patience.repeat(attempt).await
    }

    /// The index is made by a process that was begun before, which may itself wait for somebody.
    async fn under_way(&self, step: Step, process: &str, patience: Patience) -> SchemaError {
        let waits = match process.parse() {
            Ok(process) => self.holder(process, patience).await,
            Err(_) => None,
        };
        let failure = Failure::new(Execution::DidNotRun, ErrorClass::Conflict);
        let detail = match waits {
            Some(holder) => format!("process {process} makes it, and waits for {holder}"),
            None => format!("process {process} makes it"),
        };
        SchemaError::failed(step, failure.with_detail(detail))
    }
}

/// A name that is taken since it was looked for: there the next attempt finds what another run made.
fn another_was_faster(error: SchemaError) -> SchemaError {
    match error {
        SchemaError::Failed { step, mut failure }
            if failure.sql_state.is_some_and(|state| state.as_str() == TAKEN) =>
        {
            failure.class = ErrorClass::Conflict;
            SchemaError::Failed { step, failure }
        }
        error => error,
    }
}
