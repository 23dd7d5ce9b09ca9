use std::time::Duration;

use tokio::time::Instant;

use super::{Page, Store, page::Line};
use crate::{
    endpoint::{EndpointError, List, Purpose, Read, Served, Statement, Status},
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
    /// The row. A caller that names the version it has seen is never shown an older one: where the reader has not
    /// replayed it, the writer is asked. None: there is no such repository.
    ///
    /// # Errors
    /// [`EndpointError`] when neither endpoint that may answer did.
    pub async fn status(
        &self,
        path: &RepositoryPath,
        min_version: Option<i64>,
        deadline: Instant,
    ) -> Result<Served<Option<ContainerRepository>>, EndpointError> {
        let statement = Statement::read("status", STATUS).brief().bind("path", path);
        let version = |rows: &[ContainerRepository]| rows.first().map(|row| row.version);
        let served =
            self.endpoint.fetch_at_least(&Status::RULE, statement, min_version, version, deadline).await?;
        Ok(served.map(|mut rows| rows.pop()))
    }
}

impl Store<List> {
    /// Rows in the order of their paths, byte by byte.
    ///
    /// # Errors
    /// [`EndpointError`] when neither endpoint that may answer did.
    pub async fn list(
        &self,
        filter: &ListFilter,
        deadline: Instant,
    ) -> Result<Served<Page<ContainerRepository>>, EndpointError> {
        let served = self.endpoint.fetch::<Line<_>>(&List::RULE, list_statement(filter), deadline).await?;
        Ok(served.map(|lines| Page::of(lines, filter.limit)))
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
