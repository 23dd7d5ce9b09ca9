use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Page, Store, page};
use crate::{
    endpoint::{self, EndpointError, Purpose, Read, Served, Statement},
    migration::{AttemptId, RepositoryPath, State},
};

const HISTORY: &str = include_str!("sql/history.sql");

/// Which part of a history is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryPage {
    /// Only what came after the transition with this id; 0: from the beginning.
    pub after: i64,
    /// This many transitions at most, at least one; fewer where they are so long that one result does not hold them.
    pub limit: u32,
}

/// One repository's transitions, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct History {
    /// The row's version.
    pub version: i64,
    /// The row's state.
    pub migration_state: State,
    /// One page of them.
    pub transitions: Vec<Transition>,
    /// Whether more follow after it.
    #[serde(skip)]
    pub more: bool,
}

/// One change of a repository's state, or a notification that changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Its place among all transitions.
    pub id: i64,
    /// The row's version after it.
    pub version: i64,
    /// What happened.
    pub event: String,
    /// The state before.
    pub from_state: State,
    /// The state after.
    pub to_state: State,
    /// Who or what made it happen.
    pub cause: String,
    /// Whether it changed the row.
    pub applied: bool,
    /// Why it did not.
    pub verdict: Option<String>,
    /// The row's attempt after it.
    pub attempt: Option<AttemptId>,
    /// The attempt that a notification named.
    pub reported_attempt: Option<AttemptId>,
    /// The slot held before or after it.
    pub slot: Option<i32>,
    /// What the registry said.
    pub detail: Option<String>,
    /// The operator who made it happen, as they named themselves.
    pub operator: Option<String>,
    /// When.
    pub created_at: Timestamp,
}

#[derive(Deserialize)]
struct Line {
    version: i64,
    migration_state: State,
    transition: Option<Transition>,
}

impl Store<endpoint::History> {
    /// One page of a repository's history. A caller that names the version it has seen is never shown an older one:
    /// where the reader has not replayed it, the writer is asked. None: there is no such repository.
    ///
    /// # Errors
    /// [`EndpointError`] when neither endpoint that may answer did.
    pub async fn history(
        &self,
        path: &RepositoryPath,
        page: HistoryPage,
        min_version: Option<i64>,
        deadline: Instant,
    ) -> Result<Served<Option<History>>, EndpointError> {
        let version = |lines: &[page::Line<Line>]| lines.first().map(|line| line.row.version);
        let rule = &endpoint::History::RULE;
        let served =
            self.endpoint.fetch_at_least(rule, statement(path, page), min_version, version, deadline).await?;
        Ok(served.map(|lines| whole(lines, page)))
    }
}

fn statement(path: &RepositoryPath, page: HistoryPage) -> Statement<Read> {
    let limit = Page::<Line>::to_find(page.limit);
    Statement::read("history", HISTORY).bind("path", path).bind("after", page.after).bind("limit", limit)
}

fn whole(lines: Vec<page::Line<Line>>, page: HistoryPage) -> Option<History> {
    let Page { rows, more } = Page::of(lines, page.limit);
    let &Line { version, migration_state, .. } = rows.first()?;
    let transitions = rows.into_iter().filter_map(|line| line.transition).collect();
    Some(History { version, migration_state, transitions, more })
}
