use std::{collections::VecDeque, slice::Chunks};

use tokio::time::Instant;

use super::{AT_ONCE, GuardSummary};
use crate::{
    driver::ask::TO_RECORD,
    endpoint::{EndpointError, Guard},
    migration::{RepositoryPath, Stuck},
    store::Store,
};

/// The rows of one round: hinted at by the reader, taken on the writer a few at a time, so that those which
/// the round does not reach are not hidden from the next.
pub(super) struct Queue<'a> {
    store: &'a Store<Guard>,
    hinted: usize,
    hints: Chunks<'a, RepositoryPath>,
    taken: VecDeque<Stuck>,
    until: Instant,
    deadline: Instant,
    put_back: Vec<RepositoryPath>,
    failure: Option<EndpointError>,
}

impl<'a> Queue<'a> {
    /// Of `hints`, beginning to take none after `until`, and waiting for none after `deadline`.
    pub(super) fn new(
        store: &'a Store<Guard>,
        hints: &'a [RepositoryPath],
        until: Instant,
        deadline: Instant,
    ) -> Self {
        let (hinted, hints) = (hints.len(), hints.chunks(AT_ONCE));
        Self {
            store,
            hinted,
            hints,
            taken: VecDeque::new(),
            until,
            deadline,
            put_back: vec![],
            failure: None,
        }
    }

    /// The next row. None: there is none left, the time is over, or the writer does not answer.
    pub(super) async fn next(&mut self) -> Option<Stuck> {
        while self.taken.is_empty() && self.failure.is_none() && Instant::now() < self.until {
            match self.store.take_stuck(self.hints.next()?, self.deadline).await {
                Ok(taken) => self.taken.extend(taken),
                Err(error) => self.failure = Some(error),
            }
        }
        self.taken.pop_front()
    }

    /// For a row that there was no time for.
    pub(super) fn put_back(&mut self, stuck: Stuck) {
        self.put_back.push(stuck.row.path);
    }

    /// The round's summary, or why it could not go on.
    pub(super) async fn close(self, summary: GuardSummary) -> Result<GuardSummary, EndpointError> {
        if !self.put_back.is_empty() {
            // There is little time left, but they would only come again later.
            let until = Instant::now() + TO_RECORD;
            let released = self.store.release_stuck(&self.put_back, until).await;
            released.inspect_err(|error| tracing::warn!(%error, "rows could not be put back")).ok();
        }
        if let Some(error) = self.failure {
            tracing::error!(?summary, "rows could not be taken");
            return Err(error);
        }
        let count = |rows: usize| u32::try_from(rows).unwrap_or(u32::MAX);
        let left = self.hints.map(<[RepositoryPath]>::len).sum();
        Ok(GuardSummary { hinted: count(self.hinted), left: summary.left + count(left), ..summary })
    }
}
