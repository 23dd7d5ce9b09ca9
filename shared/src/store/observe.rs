use serde::Deserialize;
use tokio::time::Instant;

use super::{Census, Store, census::census_statement};
use crate::endpoint::{EndpointError, Observe, Statement};

const HEARTBEAT: &str = concat!(
    include_str!("sql/heartbeat.sql"),
    include_str!("sql/overdue_heartbeat.sql"),
    include_str!("sql/heartbeat_report.sql")
);
const REPLAYED_HEARTBEAT: &str = include_str!("sql/replayed_heartbeat.sql");

/// A heartbeat that was written to be looked for on the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Heartbeat {
    /// Its number.
    pub heartbeat: i64,
    /// The newest one before that is older than the bound: a reader without it is past the bound. None: there is no
    /// bound, or no heartbeat has come to that age.
    pub overdue_heartbeat: Option<i64>,
}

impl Store<Observe> {
    /// Writes a heartbeat that is higher than any before. None: the schema's own row is not there.
    pub async fn write_heartbeat(&self, deadline: Instant) -> Result<Option<Heartbeat>, EndpointError> {
        // Twice is as good as once: whoever looks for it looks for one at least as high.
        let statement = Statement::repeatable_write("write_heartbeat", HEARTBEAT).brief();
        Ok(self.endpoint.writer.fetch(statement, deadline).await?.pop())
    }

    /// The highest heartbeat that the reader has replayed.
    ///
    /// # Errors
    /// [`EndpointError`] when the reader did not answer.
    pub async fn replayed_heartbeat(&self, deadline: Instant) -> Result<Option<i64>, EndpointError> {
        let statement = Statement::read("replayed_heartbeat", REPLAYED_HEARTBEAT).brief();
        // Not behind a count that takes its time on the same connection: that would be measured as lag.
        Ok(self.endpoint.reader.probes.fetch(statement, deadline).await?.pop())
    }

    /// Counts everything, as the reader has it.
    ///
    /// # Errors
    /// [`EndpointError`] when the reader did not answer.
    pub async fn census_on_reader(&self, deadline: Instant) -> Result<Option<Census>, EndpointError> {
        Ok(self.endpoint.reader.reads.fetch(census_statement(), deadline).await?.pop())
    }

    /// Counts everything, as the writer has it.
    pub async fn census_on_writer(&self, deadline: Instant) -> Result<Option<Census>, EndpointError> {
        Ok(self.endpoint.writer.fetch(census_statement(), deadline).await?.pop())
    }
}
