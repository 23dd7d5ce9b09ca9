use std::collections::BTreeMap;

use serde::Serialize;

use crate::{endpoint::ServedBy, migration::Finding, telemetry::as_text};

/// What a round of the guard came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GuardSummary {
    /// Who named the rows that seem stuck.
    pub hinted_by: Option<ServedBy>,
    /// How many rows were named.
    pub hinted: u32,
    /// How many of them were leased and looked at. The others had moved on, another guard has them, or they are
    /// left.
    pub taken: u32,
    /// What was found about them.
    pub found: BTreeMap<Finding, u32>,
    /// The registry did not say how they stand, or not what it was asked for; left for their next check.
    pub unanswered: u32,
    /// They had moved on before the decision could be recorded.
    pub moved_on: u32,
    /// The writer did not answer to one of their statements; left for their next check.
    pub failed: u32,
    /// How many repositories were started in slots that were freed.
    pub filled: u32,
    /// The time was up before they could be looked at.
    pub left: u32,
}

impl GuardSummary {
    pub(super) fn add(&mut self, looked: &Looked) {
        self.filled += u32::from(looked.filled);
        match looked.found {
            Found::OutOfTime => self.left += 1,
            Found::Finding(_) | Found::MovedOn | Found::Failed => self.taken += 1,
        }
        match looked.found {
            Found::Finding(Finding::Unanswered) => self.unanswered += 1,
            Found::Finding(finding) => *self.found.entry(finding).or_default() += 1,
            Found::MovedOn => self.moved_on += 1,
            Found::Failed => self.failed += 1,
            Found::OutOfTime => {}
        }
    }
}

impl Found {
    /// The name in logs.
    pub(super) fn name(self) -> String {
        match self {
            Self::Finding(finding) => as_text(&finding),
            Self::MovedOn => "moved_on".to_owned(),
            Self::Failed => "failed".to_owned(),
            Self::OutOfTime => "out_of_time".to_owned(),
        }
    }
}

/// What looking after a row came to.
pub(super) struct Looked {
    pub(super) found: Found,
    /// Its slot was freed, and another repository started in it.
    pub(super) filled: bool,
}

/// What became of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// This was found, and acted on.
    Finding(Finding),
    /// It had moved on.
    MovedOn,
    /// The writer did not answer.
    Failed,
    /// There was no time to ask.
    OutOfTime,
}
