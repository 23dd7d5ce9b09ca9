use std::{collections::VecDeque, slice::Chunks};

use tokio::time::Instant;

use super::{AT_ONCE, GuardSummary};
use crate::{
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
    total: u32,
    until: Instant,
    failure: Option<EndpointError>,
}

impl<'a> Queue<'a> {
    /// Of `hints`, taking none after `until`.
    pub(super) fn new(store: &'a Store<Guard>, hints: &'a [RepositoryPath], until: Instant) -> Self {
        let (hinted, hints) = (hints.len(), hints.chunks(AT_ONCE));
        Self { store, hinted, hints, taken: VecDeque::new(), total: 0, until, failure: None }
    }

    /// The next row. None: there is none left, the time is over, or the writer does not answer.
    pub(super) async fn next(&mut self) -> Option<Stuck> {
        while self.taken.is_empty() && self.failure.is_none() && Instant::now() < self.until {
            match self.store.take_stuck(self.hints.next()?, self.until).await {
                Ok(taken) => self.taken.extend(taken),
                Err(error) => self.failure = Some(error),
            }
            self.total += u32::try_from(self.taken.len()).unwrap_or(u32::MAX);
        }
        self.taken.pop_front()
    }

    /// The round's summary, or why it could not go on.
    pub(super) fn close(self, summary: GuardSummary) -> Result<GuardSummary, EndpointError> {
        if let Some(error) = self.failure {
            tracing::error!(?summary, "rows could not be taken");
            return Err(error);
        }
        let count = |rows: usize| u32::try_from(rows).unwrap_or(u32::MAX);
        let left = self.hints.map(<[RepositoryPath]>::len).sum();
        Ok(GuardSummary {
            hinted: count(self.hinted),
            taken: self.total,
            left: summary.left + count(left),
            ..summary
        })
    }
}
