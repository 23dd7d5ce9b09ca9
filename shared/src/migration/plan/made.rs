use std::time::Duration;

use crate::migration::AttemptId;

/// What a change depends on besides the plan and the row.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// The database's now.
    pub now: jiff::Timestamp,
    /// The id of the change, and of the attempt that it may begin.
    pub change: AttemptId,
    /// The attempt that an adoption finds in the history.
    pub adopted: Option<AttemptId>,
    /// The slot that a claim took.
    pub slot: Option<i32>,
    /// What was said with it.
    pub detail: Option<&'a str>,
    /// The setting `retry_backoff_seconds`.
    pub retry_backoff: Duration,
}

impl Made<'_> {
    /// By `change` at `now`, with nothing besides.
    #[must_use]
    pub const fn new(now: jiff::Timestamp, change: AttemptId) -> Self {
        Self { now, change, adopted: None, slot: None, detail: None, retry_backoff: Duration::ZERO }
    }
}
