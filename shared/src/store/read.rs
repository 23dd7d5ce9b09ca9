use std::time::Duration;

use tokio::time::Instant;

use super::{Page, Store, page::Line};
use crate::{
    endpoint::{EndpointError, List, Read, ReadOnlyWriter, Statement, Status},
    migration::{ContainerRepository, PathPrefix, RepositoryPath, State},
};

const STATUS: &str = include_str!("sql/status.sql");
const LIST: &str = include_str!("sql/list.sql");

/// Which rows a list shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Only rows in this state.
    pub state: Option<State>,
    /// Only rows whose path begins so.
    pub prefix: PathPrefix,
    /// Only rows that are in their state for at least so long, in whole seconds.
    pub older_than: Option<Duration>,
    /// Only rows whose path comes after this one.
    pub after: Option<RepositoryPath>,
    /// This many rows at most; fewer where they are so long that one result does not hold them.
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

fn status_statement(path: &RepositoryPath) -> Statement<Read> {
    Statement::read("status", STATUS).brief().bind("path", path)
}

impl Store<List> {
    /// Rows in the order of their paths, byte by byte.
    ///
    /// # Errors
    /// [`EndpointError`] when the reader did not answer.
    pub async fn list(
        &self,
        filter: &ListFilter,
        deadline: Instant,
    ) -> Result<Page<ContainerRepository>, EndpointError> {
        let lines = self.endpoint.fetch::<Line<_>>(list_statement(filter), deadline).await?;
        Ok(Page::of(lines, filter.limit))
    }

    /// The same as they stand on the writer, where the reader cannot serve.
    ///
    /// # Errors
    /// [`EndpointError`] when the writer did not answer.
    pub async fn latest_list(
        writer: &ReadOnlyWriter,
        filter: &ListFilter,
        deadline: Instant,
    ) -> Result<Page<ContainerRepository>, EndpointError> {
        let lines = writer.fetch::<Line<_>>(list_statement(filter), deadline).await?;
        Ok(Page::of(lines, filter.limit))
    }
}

fn list_statement(filter: &ListFilter) -> Statement<Read> {
    let states = filter.state.map_or_else(
        || State::ALL.iter().map(|state| state.name()).collect::<Vec<_>>().join(","),
        |state| state.name().to_owned(),
    );
    let older_than = filter.older_than.map(|age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
    Statement::read("list", LIST)
        .bind("states", states)
        .bind("prefix", filter.prefix.as_str())
        .bind("older_than", older_than)
        .bind("after", filter.after.as_ref().map_or("", RepositoryPath::as_str))
        .bind("limit", Page::<ContainerRepository>::to_find(filter.limit))
}
