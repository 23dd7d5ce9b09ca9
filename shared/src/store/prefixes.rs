use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Page, Store};
use crate::{
    endpoint::{EndpointError, List, Purpose, Read, Served, Statement},
    migration::{PathPrefix, RepositoryPath, State},
};

const PREFIXES: &str = include_str!("sql/prefixes.sql");

/// Which part of the paths is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrefixFilter {
    /// Only rows whose path begins so.
    pub prefix: PathPrefix,
    /// Only rows whose path comes after this one.
    pub after: Option<RepositoryPath>,
    /// This many rows at most are counted.
    pub rows: u32,
}

/// How the rows stand whose paths have one beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixCount {
    /// The beginning, up to the next slash; without a slash at its end it is one row's whole path.
    pub prefix: String,
    /// How many rows there are.
    pub repositories: u64,
    /// The rows in each state; only the states that there are.
    pub states: BTreeMap<State, u64>,
    /// How many tags they have together, as far as it is known.
    pub tags: u64,
    /// How many of these tags belong to rows that are neither done nor skipped.
    pub tags_left: u64,
    /// How many rows have an unknown number of tags.
    pub tags_unknown: u64,
    /// The last path that was counted.
    #[serde(skip_serializing)]
    pub last: RepositoryPath,
}

#[derive(Deserialize)]
struct Line {
    more: bool,
    row: PrefixCount,
}

impl Store<List> {
    /// How the rows below a prefix stand, by the next part of their paths, in the order of the paths, byte by byte. Where
    /// more follow, the next page begins after the last path of the last row; it may go on with the same part.
    ///
    /// # Errors
    /// [`EndpointError`] when neither endpoint that may answer did.
    pub async fn prefixes(
        &self,
        filter: &PrefixFilter,
        deadline: Instant,
    ) -> Result<Served<Page<PrefixCount>>, EndpointError> {
        let served = self.endpoint.fetch::<Line>(&List::RULE, statement(filter), deadline).await?;
        Ok(served.map(|lines| {
            let more = lines.last().is_some_and(|line| line.more);
            Page { rows: lines.into_iter().map(|line| line.row).collect(), more }
        }))
    }
}

fn statement(filter: &PrefixFilter) -> Statement<Read> {
    let states = State::ALL.iter().map(|state| state.name()).collect::<Vec<_>>().join(",");
    Statement::read("prefixes", PREFIXES)
        .bind("states", states)
        .bind("prefix", filter.prefix.as_str())
        .bind("after", filter.after.as_ref().map_or("", RepositoryPath::as_str))
        .bind("rows", Page::<PrefixCount>::to_find(filter.rows))
}
