use serde::Deserialize;
use tokio::time::Instant;

use super::{Census, Store, census::census_statement};
use crate::endpoint::{EndpointError, Observe, Statement};

const MARK: &str = concat!(
    include_str!("sql/mark.sql"),
    include_str!("sql/due_mark.sql"),
    include_str!("sql/mark_report.sql")
);
pub(super) const SEEN_MARK: &str = include_str!("sql/seen_mark.sql");

/// What was written to be looked for on the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Marked {
    /// The mark.
    pub mark: i64,
    /// The newest mark before that is older than the bound: a reader without it is past the bound.
    pub due_mark: Option<i64>,
}

impl Store<Observe> {
    /// Writes a mark that is higher than any before. None: the schema's own row is not there.
    ///
    /// # Errors
    /// [`EndpointError`] when the writer did not answer.
    pub async fn mark(&self, deadline: Instant) -> Result<Option<Marked>, EndpointError> {
        // Twice is as good as once: whoever looks for it looks for one at least as high.
        Ok(self
            .endpoint
            .writer
            .fetch(Statement::repeatable_write("mark", MARK).brief(), deadline)
            .await?
            .pop())
    }

    /// The highest mark that the reader has.
    ///
    /// # Errors
    /// [`EndpointError`] when the reader did not answer.
    pub async fn seen_mark(&self, deadline: Instant) -> Result<Option<i64>, EndpointError> {
        Ok(self.endpoint.reader.fetch(Statement::read("seen_mark", SEEN_MARK).brief(), deadline).await?.pop())
    }

    /// Counts everything, as the reader has it.
    ///
    /// # Errors
    /// [`EndpointError`] when the reader did not answer.
    pub async fn census_on_reader(&self, deadline: Instant) -> Result<Option<Census>, EndpointError> {
        Ok(self.endpoint.reader.fetch(census_statement(), deadline).await?.pop())
    }

    /// Counts everything, as the writer has it.
    ///
    /// # Errors
    /// [`EndpointError`] when the writer did not answer.
    pub async fn census_on_writer(&self, deadline: Instant) -> Result<Option<Census>, EndpointError> {
        Ok(self.endpoint.writer.fetch(census_statement(), deadline).await?.pop())
    }
}
