use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Page, Store, page::Line};
use crate::{
    endpoint::{EndpointError, List, Purpose, Read, Served, Statement},
    migration::{PathPrefix, RepositoryPath, SkipReason, State, TagsCheck},
};

const REPORT: &str = include_str!("sql/report.sql");

/// Which rows a report shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportFilter {
    /// Only rows whose path begins so.
    pub prefix: PathPrefix,
    /// Only rows whose path comes after this one.
    pub after: Option<RepositoryPath>,
    /// This many rows at most; fewer where they are so long that one result does not hold them.
    pub limit: u32,
}

/// What became of one repository, with its history summed up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportRow {
    /// Which repository.
    pub path: RepositoryPath,
    /// How its migration stands.
    pub migration_state: State,
    /// Why it was skipped, or why there was nothing to import.
    pub skipped_reason: Option<SkipReason>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When its first step was asked for.
    pub started_at: Option<Timestamp>,
    /// Since when it is in its state.
    pub state_since: Timestamp,
    /// How often it failed by itself.
    pub retries_count: i32,
    /// How many tags it had when it was registered.
    pub tags_count: Option<i32>,
    /// Whether the tags are still there.
    pub tags_check: Option<TagsCheck>,
    /// How many are not.
    pub tags_missing: Option<i64>,
    /// The last words of the registry or of an operator.
    pub detail: Option<String>,
    /// Who changed it, in the order of their first change; the first hundred.
    pub changed_by: Vec<Actor>,
    /// What the importer has proven. None: it was never asked for it.
    pub proven: Option<ProvenTags>,
}

/// Who or what changed a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// As the history has it: `notification`, `guard`.
    pub cause: String,
    /// The operator, as they named themselves.
    pub operator: Option<String>,
}

/// The tags that the importer has read back from the target and found to be what the source had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenTags {
    /// How many there are.
    pub tags: u64,
    /// The first thousand by name, each with its digest.
    pub digests: BTreeMap<String, Option<String>>,
}

impl Store<List> {
    /// What became of each repository, in the order of their paths, byte by byte.
    ///
    /// # Errors
    /// [`EndpointError`] when neither endpoint that may answer did.
    pub async fn report(
        &self,
        filter: &ReportFilter,
        deadline: Instant,
    ) -> Result<Served<Page<ReportRow>>, EndpointError> {
        let served = self.endpoint.fetch::<Line<_>>(&List::RULE, statement(filter), deadline).await?;
        Ok(served.map(|lines| Page::of(lines, filter.limit)))
    }
}

fn statement(filter: &ReportFilter) -> Statement<Read> {
    Statement::read("report", REPORT)
        .bind("states", State::ALL.iter().map(|state| state.name()).collect::<Vec<_>>().join(","))
        .bind("prefix", filter.prefix.as_str())
        .bind("after", filter.after.as_ref().map_or("", RepositoryPath::as_str))
        .bind("limit", Page::<ReportRow>::to_find(filter.limit))
}
