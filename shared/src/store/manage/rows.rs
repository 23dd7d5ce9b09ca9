use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    endpoint::{EndpointError, Manage, Statement, Writer},
    migration::{
        AttemptId, ContainerRepository, PathPrefix, Plan, RepositoryPath, SkipReason, State, Surroundings,
    },
    store::{
        Changed, Store,
        change::{CHANGE, changed},
        check_path,
    },
};

const FIND: &str = include_str!("../sql/status.sql");
const SURROUNDINGS: &str = concat!(include_str!("../sql/brake.sql"), include_str!("sql/surroundings.sql"));
const PREVIEW: &str = include_str!("sql/reopen_preview.sql");
const REOPEN: &str = concat!(
    include_str!("sql/reopen_many.sql"),
    include_str!("../sql/bulk.sql"),
    include_str!("sql/reopen_many_report.sql")
);

/// Which rows are reopened together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReopenFilter {
    /// Those in this state.
    pub state: State,
    /// Of these, those skipped, or done, for this reason.
    pub reason: Option<SkipReason>,
    /// Of these, those whose path begins so; an empty one is every path's beginning.
    pub prefix: PathPrefix,
}

/// What reopening many came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reopened {
    /// How many matched the filter before.
    pub matching: u32,
    /// How many of them are reopened now.
    pub reopened: u32,
    /// Some of those reopened, or that would be.
    pub sample: Vec<RepositoryPath>,
}

impl Store<Manage> {
    /// The row as it stands. None: no such repository.
    pub async fn find(
        &self,
        path: &RepositoryPath,
        deadline: Instant,
    ) -> Result<Option<ContainerRepository>, EndpointError> {
        let found = self
            .endpoint
            .fetch(Statement::read("find", FIND).brief().bind("path", path), deadline)
            .await?
            .pop();
        if let Some(row) = &found {
            check_path(row, path, Writer::NAME, "find")?;
        }
        Ok(found)
    }

    /// The row with all that decides on what happens to it next. None: no such repository.
    pub async fn surroundings(
        &self,
        path: &RepositoryPath,
        deadline: Instant,
    ) -> Result<Option<Surroundings>, EndpointError> {
        let statement = Statement::read("surroundings", SURROUNDINGS).bind("path", path);
        Ok(self.endpoint.fetch(statement, deadline).await?.pop())
    }

    /// Makes an operator's change, where the row's attempt still is `seen` and the plan allows its state. `detail` is what
    /// the operator says about it.
    ///
    /// None: no such repository.
    ///
    /// # Errors
    /// [`EndpointError`] when the writer did not answer with a verdict.
    pub async fn operate(
        &self,
        path: &RepositoryPath,
        seen: Option<AttemptId>,
        plan: &Plan,
        detail: Option<&str>,
        deadline: Instant,
    ) -> Result<Option<Changed>, EndpointError> {
        let statement = Statement::repeatable_write("operate", CHANGE)
            .brief()
            .bind("precondition", "attempt")
            .bind("cause", "operator")
            .bind("event", "operator")
            .bind("attempt", seen)
            .bind("detail", detail)
            .bind("operator", self.operator());
        changed(&self.endpoint, statement, path, plan, AttemptId::new(Uuid::new_v4()), deadline).await
    }

    /// What [`Store::reopen_many`] would match.
    pub async fn preview_reopen(
        &self,
        filter: &ReopenFilter,
        deadline: Instant,
    ) -> Result<Option<Reopened>, EndpointError> {
        let statement = Statement::read("preview_reopen", PREVIEW)
            .bind("state", filter.state.name())
            .bind("reason", filter.reason.map(SkipReason::number))
            .bind("prefix", filter.prefix.as_str());
        Ok(self.endpoint.fetch(statement, deadline).await?.pop())
    }

    /// Reopens at most 1000 rows that match, each with its history, which keeps the operator's `reason`; without one
    /// none that is done. It is not sent again when nobody knows whether it ran.
    pub async fn reopen_many(
        &self,
        filter: &ReopenFilter,
        reason: Option<&str>,
        deadline: Instant,
    ) -> Result<Option<Reopened>, EndpointError> {
        let plan = if reason.is_some() { Plan::reopen_with_reason() } else { Plan::reopen() };
        let statement = Statement::write_once("reopen_many", REOPEN)
            .bind("state", filter.state.name())
            .bind("reason", filter.reason.map(SkipReason::number))
            .bind("prefix", filter.prefix.as_str())
            .bind("plan", &plan.to_json())
            .bind("detail", reason)
            .bind("cause", "operator")
            .bind("operator", self.operator());
        Ok(self.endpoint.fetch(statement, deadline).await?.pop())
    }
}
