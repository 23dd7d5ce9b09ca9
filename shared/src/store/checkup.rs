use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Store;
use crate::endpoint::{EndpointError, Purpose, Served, Statement, Summary};

const CHECKUP: &str = include_str!("sql/checkup.sql");

/// How the server that shows rows stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkup {
    /// What its clock says.
    pub at: Timestamp,
    /// The newest schema script that was applied. None: the role that reads may not know.
    pub schema: Option<String>,
    /// It is in recovery, or read-only for everybody: a replica.
    pub read_only: bool,
    /// When the newest heartbeat that it has was written. One is written each minute.
    pub heartbeat_at: Option<Timestamp>,
    /// When the registry's last notification was applied, as far as the newest thousand transitions tell.
    pub notified_at: Option<Timestamp>,
}

impl Store<Summary> {
    /// Looks how the server that shows rows stands.
    ///
    /// # Errors
    /// [`EndpointError`] when neither endpoint that may answer did.
    pub async fn checkup(&self, deadline: Instant) -> Result<Served<Option<Checkup>>, EndpointError> {
        let statement = Statement::read("checkup", CHECKUP);
        let served = self.endpoint.fetch(&Summary::RULE, statement, deadline).await?;
        Ok(served.map(|mut rows| rows.pop()))
    }
}
