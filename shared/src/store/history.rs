use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Page, Store, page};
use crate::{
    endpoint::{self, EndpointError, Read, ReadOnlyWriter, Statement},
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
    /// The history as the reader has it, which may be older than what a caller has seen. None: the reader has
    /// no such repository.
    ///
    /// # Errors
    /// [`EndpointError`] when the reader did not answer.
    pub async fn history(
        &self,
        path: &RepositoryPath,
        page: HistoryPage,
        deadline: Instant,
    ) -> Result<Option<History>, EndpointError> {
        Ok(whole(self.endpoint.fetch(statement(path, page), deadline).await?, page))
    }

    /// The history as it stands on the writer, for a caller who has seen more than the reader has.
    ///
    /// # Errors
    /// [`EndpointError`] when the writer did not answer.
    pub async fn latest_history(
        writer: &ReadOnlyWriter,
        path: &RepositoryPath,
        page: HistoryPage,
        deadline: Instant,
    ) -> Result<Option<History>, EndpointError> {
        Ok(whole(writer.fetch(statement(path, page), deadline).await?, page))
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
