use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Page, Store, page::Line};
use crate::{
    endpoint::{EndpointError, List, Purpose, Read, Served, Statement},
    migration::{PathPrefix, RepositoryPath, SkipReason, State},
};

const ATTENTION: &str = include_str!("sql/attention.sql");

/// Which rows that somebody should look at are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttentionFilter {
    /// Only rows whose path begins so.
    pub prefix: PathPrefix,
    /// Only rows whose path comes after this one.
    pub after: Option<RepositoryPath>,
    /// This many rows at most; fewer where they are so long that one result does not hold them.
    pub limit: u32,
}

/// Why somebody should look at a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// A step failed or was canceled. It is tried again.
    Failed,
    /// It was given up, or taken out.
    Skipped,
    /// Its step runs for longer than `max_step_duration`, or it could go on for so long and did not.
    Stuck,
    /// It is done, and tags are missing.
    TagsMissing,
    /// It is done, and nobody compared its tags.
    TagsUnverified,
}

/// A row that somebody should look at, without what a list has besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttentionRow {
    /// Which repository.
    pub path: RepositoryPath,
    /// Why it is here.
    pub trouble: Trouble,
    /// The position a caller has seen.
    pub version: i64,
    /// How its migration stands.
    pub migration_state: State,
    /// Why it was skipped, or why there was nothing to import.
    pub skipped_reason: Option<SkipReason>,
    /// Where it was when it was aborted.
    pub aborted_in_state: Option<State>,
    /// What the registry last said of it.
    pub detail: Option<String>,
    /// How often it failed by itself.
    pub retries_count: i32,
    /// Not started again before.
    pub not_before: Option<Timestamp>,
    /// Since when it is in its state.
    pub state_since: Timestamp,
}

impl Store<List> {
    /// The rows that somebody should look at, in the order of their paths, byte by byte.
    ///
    /// # Errors
    /// [`EndpointError`] when neither endpoint that may answer did.
    pub async fn attention(
        &self,
        filter: &AttentionFilter,
        deadline: Instant,
    ) -> Result<Served<Page<AttentionRow>>, EndpointError> {
        let served = self.endpoint.fetch::<Line<_>>(&List::RULE, statement(filter), deadline).await?;
        Ok(served.map(|lines| Page::of(lines, filter.limit)))
    }
}

fn statement(filter: &AttentionFilter) -> Statement<Read> {
    Statement::read("attention", ATTENTION)
        .bind("prefix", filter.prefix.as_str())
        .bind("after", filter.after.as_ref().map_or("", RepositoryPath::as_str))
        .bind("limit", Page::<AttentionRow>::to_find(filter.limit))
}
