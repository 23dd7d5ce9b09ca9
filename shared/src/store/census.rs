use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use tokio::time::Instant;

use super::Store;
use crate::{
    endpoint::{EndpointError, Purpose, Read, Served, Statement, Summary},
    migration::{Brake, RepositoryPath, SkipReason, State},
};

const CENSUS: &str = concat!(include_str!("sql/brake.sql"), include_str!("sql/census.sql"));

/// How everything stands at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Census {
    /// When, by the clock of the server that counted.
    pub at: Timestamp,
    /// The kill switch.
    pub enabled: bool,
    /// What else holds starts back.
    pub brake: BrakeNow,
    /// The rows in each state, every state among them; the age is that of the row longest in its state.
    #[serde(deserialize_with = "every_state")]
    pub states: BTreeMap<State, Count>,
    /// How many repositories are in progress, of how many.
    pub slots: Slots,
    /// The rows that wait for their final step without a slot.
    pub held: HeldNow,
    /// Failures that were the repositories' own.
    pub retries: Retries,
    /// The skipped rows, by reason; only the reasons that there are.
    #[serde(deserialize_with = "by_reason")]
    pub skips: BTreeMap<SkipReason, u64>,
    /// Done rows whose tags an operator is to look at.
    pub tags: TagsFound,
    /// Rows whose step runs for longer than `max_step_duration`, or that could go on for so long and did not;
    /// the age is since the step began, or could have gone on.
    pub stuck: Count,
    /// How many transitions there were in the last minute.
    pub transitions_per_minute: u64,
    /// How many repositories in progress came to their end in the last hour.
    pub ended_in_the_last_hour: u64,
    /// How many are still to be migrated: neither done nor skipped, nor left out by the settings.
    pub left: u64,
    /// How long that takes at the pace of the last hour, in seconds. None: nothing has ended in it.
    pub seconds_left: Option<f64>,
}

/// What holds starts back at one moment, besides the kill switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrakeNow {
    /// What it is. None: nothing does.
    pub held_by: Option<Brake>,
    /// Until then nothing is started, unless it ends before.
    pub until: Option<Timestamp>,
    /// Since when the circuit breaker is open. None: it is closed.
    pub breaker_open_since: Option<Timestamp>,
    /// How many different repositories have failed by themselves, one after the other, in the minute before the last of
    /// them did.
    pub failures_in_a_row: u32,
}

/// The rows that wait for their final step without a slot, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HeldNow {
    /// How many.
    pub count: u64,
    /// How long the oldest has waited, in seconds; none where there is no row.
    pub oldest_seconds: Option<f64>,
    /// How many of them nothing holds any more: they wait for a free slot.
    pub released: u64,
    /// How many of them a window had released when it closed, and are held again.
    pub left_over: u64,
}

/// How many rows there are, and the age of the oldest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Count {
    /// How many.
    pub count: u64,
    /// Its age in seconds; none where there is no row.
    pub oldest_seconds: Option<f64>,
}

/// How many slots are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slots {
    /// So many are.
    pub used: u64,
    /// So many may be.
    pub capacity: u64,
}

/// Failures that were the repositories' own, and were counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retries {
    /// How many repositories have failed at all.
    pub repositories: u64,
    /// How often, together.
    pub counted: u64,
}

/// Rows that are done, and not all of whose tags are known to be there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagsFound {
    /// How many have lost tags, which a user may have deleted meanwhile.
    pub missing: u64,
    /// How many were not compared.
    pub unverified: u64,
    /// The first of those that have lost tags, by path.
    pub sample: Vec<RepositoryPath>,
}

impl Store<Summary> {
    /// Counts everything. None: the schema's own rows are not there.
    ///
    /// # Errors
    /// [`EndpointError`] when neither endpoint that may answer did.
    pub async fn census(&self, deadline: Instant) -> Result<Served<Option<Census>>, EndpointError> {
        let served = self.endpoint.fetch(&Summary::RULE, census_statement(), deadline).await?;
        Ok(served.map(|mut rows| rows.pop()))
    }
}

pub(super) fn census_statement() -> Statement<Read> {
    Statement::read("census", CENSUS)
}

fn every_state<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<State, Count>, D::Error> {
    let mut counted = BTreeMap::<State, Count>::deserialize(deserializer)?;
    for &state in State::ALL {
        counted.entry(state).or_default();
    }
    Ok(counted)
}

fn by_reason<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<SkipReason, u64>, D::Error> {
    Ok(Vec::<(SkipReason, u64)>::deserialize(deserializer)?.into_iter().collect())
}
