use std::{collections::VecDeque, mem, slice::Chunks};

use tokio::time::Instant;

use super::{AT_ONCE, GuardSummary, Guardian, summary::Found};
use crate::{
    driver::ask::TO_RECORD,
    endpoint::EndpointError,
    migration::{RepositoryPath, Stuck},
    store::NextLook,
    telemetry::as_text,
};

/// The rows of one round: hinted at by the reader, leased on the writer a few at a time, so that those which
/// the round does not reach are not hidden from the next.
pub(super) struct Queue<'a> {
    guardian: &'a Guardian,
    hinted: usize,
    hints: Chunks<'a, RepositoryPath>,
    leased: VecDeque<Stuck>,
    until: Instant,
    deadline: Instant,
    /// Rows that are looked at and still leased: released together.
    looks: Vec<NextLook>,
    failure: Option<EndpointError>,
}

impl<'a> Queue<'a> {
    /// Of `hints`, beginning to lease none after `until`, and waiting for none after `deadline`.
    pub(super) fn new(
        guardian: &'a Guardian,
        hints: &'a [RepositoryPath],
        until: Instant,
        deadline: Instant,
    ) -> Self {
        let (hinted, hints) = (hints.len(), hints.chunks(AT_ONCE));
        Self {
            guardian,
            hinted,
            hints,
            leased: VecDeque::new(),
            until,
            deadline,
            looks: vec![],
            failure: None,
        }
    }

    /// The next row. None: there is none left, the time is over, or the writer does not answer.
    pub(super) async fn next(&mut self) -> Option<Stuck> {
        while self.leased.is_empty() && self.failure.is_none() && Instant::now() < self.until {
            let hints = self.hints.next()?;
            self.release(self.deadline).await;
            match self.guardian.store.lease_stuck(hints, self.guardian.lease, self.deadline).await {
                Ok(leased) => self.leased.extend(leased),
                Err(error) => self.failure = Some(error),
            }
        }
        self.leased.pop_front()
    }

    /// For a row that was looked at. Where that changed nothing its lease is still to be ended.
    pub(super) fn looked_at(&mut self, stuck: &Stuck, found: Found) {
        self.looks.extend(next_look(stuck, found));
    }

    /// The round's summary, or why it could not go on.
    pub(super) async fn close(mut self, summary: GuardSummary) -> Result<GuardSummary, EndpointError> {
        // There is little time left, but they would only come again later.
        self.release(Instant::now() + TO_RECORD).await;
        if let Some(error) = self.failure {
            tracing::error!(summary = as_text(&summary), "rows could not be leased");
            return Err(error);
        }
        let count = |rows: usize| u32::try_from(rows).unwrap_or(u32::MAX);
        let left = self.hints.map(<[RepositoryPath]>::len).sum();
        Ok(GuardSummary { hinted: count(self.hinted), left: summary.left + count(left), ..summary })
    }

    async fn release(&mut self, deadline: Instant) {
        let looks = mem::take(&mut self.looks);
        if looks.is_empty() {
            return;
        }
        let released = self.guardian.store.release_stuck(&looks, self.guardian.lease, deadline).await;
        released.inspect_err(|error| tracing::warn!(%error, "rows could not be released")).ok();
    }
}

/// When a leased row is looked at next. None: its lease needs no end.
pub(super) fn next_look(stuck: &Stuck, found: Found) -> Option<NextLook> {
    let next_check_at = match found {
        Found::Finding(finding) => Some(stuck.next_look(finding)?),
        Found::OutOfTime | Found::MovedOn => None,
        // The writer does not answer. The lease ends by itself.
        Found::Failed => return None,
    };
    Some(NextLook { path: stuck.row.path.clone(), next_check_at })
}
