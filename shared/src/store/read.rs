use tokio::time::Instant;

use super::Store;
use crate::{
    endpoint::{EndpointError, List, ReadOnlyWriter, Statement, Status},
    migration::{ContainerRepository, RepositoryPath, State},
};

const STATUS: &str = include_str!("sql/status.sql");
const LIST: &str = include_str!("sql/list.sql");

/// Which rows a list shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Only rows in this state.
    pub state: Option<State>,
    /// Only rows whose path comes after this one.
    pub after: Option<RepositoryPath>,
    /// This many rows at most.
    pub limit: u32,
}

impl Store<Status> {
    /// The row as the reader has it, which may be older than what a caller has seen. None: the reader has no
    /// such repository.
    ///
    /// # Errors
    /// [`EndpointError`] when the reader did not answer.
    pub async fn status(
        &self,
        path: &RepositoryPath,
        deadline: Instant,
    ) -> Result<Option<ContainerRepository>, EndpointError> {
        Ok(self.endpoint.fetch(status_statement(path), deadline).await?.pop())
    }

    /// The row as it stands on the writer, for a caller who has seen more than the reader has.
    ///
    /// # Errors
    /// [`EndpointError`] when the writer did not answer.
    pub async fn latest_status(
        writer: &ReadOnlyWriter,
        path: &RepositoryPath,
        deadline: Instant,
    ) -> Result<Option<ContainerRepository>, EndpointError> {
        Ok(writer.fetch(status_statement(path), deadline).await?.pop())
    }
}

fn status_statement(path: &RepositoryPath) -> Statement<crate::endpoint::Read> {
    Statement::read("status", STATUS).bind("path", path)
}

impl Store<List> {
    /// Rows in the order of their paths.
    ///
    /// # Errors
    /// [`EndpointError`] when the reader did not answer.
    pub async fn list(
        &self,
        filter: &ListFilter,
        deadline: Instant,
    ) -> Result<Vec<ContainerRepository>, EndpointError> {
        let statement = Statement::read("list", LIST)
            .bind("state", filter.state.map(State::name))
            .bind("after", filter.after.as_ref().map(RepositoryPath::as_str))
            .bind("limit", filter.limit);
        self.endpoint.fetch(statement, deadline).await
    }
}
