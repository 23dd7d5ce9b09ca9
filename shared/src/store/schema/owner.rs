//! Which stack a cluster belongs to. The driver's roles are the cluster's, in whichever of its databases the tables are,
//! and have one stack's passwords. So the owner is kept beside them: as the comment on one of them.

use super::{
    refusal::{SchemaError, Step},
    run::{Patience, Run, Work, write},
};
use crate::{endpoint::Schema, store::Store};

const OWNER: (&str, &str) = ("schema_owner", include_str!("sql/owner.sql"));
const STACK: (&str, &str) = ("schema_stack", include_str!("sql/stack.sql"));
const OWN: (&str, &str) = ("schema_own", include_str!("sql/own.sql"));

/// Which stack works on the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its id.
    pub stack: String,
    /// The id of the stack that it takes the cluster over from, if it belongs to that one.
    pub take_over_from: Option<String>,
}

impl Run<'_> {
    /// Refuses a cluster that belongs to another stack.
    pub(super) async fn check_owner(&self, owner: &Owner) -> Result<(), SchemaError> {
        match self.owner().await? {
            Some(stack) if stack != owner.stack && Some(&stack) != owner.take_over_from.as_ref() => {
                Err(SchemaError::Owned { stack })
            }
            _ => Ok(()),
        }
    }

    /// Remembers the stack. The roles are there.
    pub(super) async fn own(&self, owner: &Owner) -> Result<(), SchemaError> {
        if self.owner().await?.as_ref() == Some(&owner.stack) {
            return Ok(());
        }
        self.send(Step::Owner, &write(STACK).bind("stack", owner.stack.as_str())).await?;
        self.send(Step::Owner, &write(OWN)).await
    }

    async fn owner(&self) -> Result<Option<String>, SchemaError> {
        Ok(self.fetch(Step::Owner, &write(OWNER)).await?.into_iter().next())
    }
}

struct GiveUp<'a>(&'a str);

impl Work for GiveUp<'_> {
    type Done = bool;

    async fn run(&self, run: &Run<'_>) -> Result<bool, SchemaError> {
        let mine = run.owner().await?.as_deref() == Some(self.0);
        if mine {
            run.send(Step::Owner, &write(STACK).bind("stack", "")).await?;
            run.send(Step::Owner, &write(OWN)).await?;
        }
        Ok(mine)
    }
}

impl Store<Schema> {
    /// Lets another stack have the cluster, if it belongs to this one. Tables and roles stay.
    ///
    /// # Errors
    /// [`SchemaError`] says why it still belongs to this one.
    pub async fn give_up(&self, stack: &str, patience: Patience) -> Result<bool, SchemaError> {
        self.in_transaction(GiveUp(stack), patience).await
    }
}
