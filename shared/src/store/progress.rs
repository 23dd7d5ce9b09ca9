use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Store;
use crate::endpoint::{EndpointError, Purpose, Served, Statement, Summary};

const PROGRESS: &str = include_str!("sql/progress.sql");

/// How many lines of the history, and rows of the importer, are looked at.
const MAX_LINES: i64 = 200_000;

/// How fast it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// When, by the clock of the server that counted.
    pub at: Timestamp,
    /// From when on everything is counted: the beginning of the hours that were asked for, or later where the history has
    /// more lines since then than are looked at.
    pub since: Timestamp,
    /// How long one part is, in seconds.
    pub part_seconds: u32,
    /// What ended in each part of the time; only the parts in which something did.
    pub parts: Vec<Part>,
    /// When the newest of all changes was made that this endpoint has. A replica has everything from before. None: there
    /// has not been any.
    pub newest_change_at: Option<Timestamp>,
    /// What the importer knows of. None: a registry imports by itself.
    pub importer: Option<ImporterBytes>,
}

/// What ended in a part of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// When the part begins.
    pub at: Timestamp,
    /// How many repositories were done in it.
    pub done: u64,
    /// How many were given up or taken out.
    pub skipped: u64,
    /// How many failed or were canceled, and are tried again.
    pub aborted: u64,
}

/// How much the importer has copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImporterBytes {
    /// How many repositories it was ever asked for.
    pub repositories: u64,
    /// How many bytes these have, as far as they were listed.
    pub bytes_known: u64,
    /// How many of these bytes are at the target.
    pub bytes_done: u64,
}

impl Store<Summary> {
    /// What has ended in each sixtieth of the last `hours`. None: the server gave no answer.
    ///
    /// # Errors
    /// [`EndpointError`] when neither endpoint that may answer did.
    pub async fn progress(
        &self,
        hours: i64,
        deadline: Instant,
    ) -> Result<Served<Option<Progress>>, EndpointError> {
        let statement = Statement::read("progress", PROGRESS).bind("hours", hours).bind("lines", MAX_LINES);
        let served = self.endpoint.fetch(&Summary::RULE, statement, deadline).await?;
        Ok(served.map(|mut rows| rows.pop()))
    }
}
