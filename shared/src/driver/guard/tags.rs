use futures::future::join_all;
use serde::Serialize;
use tokio::time::Instant;

use super::{AT_ONCE, Guardian};
use crate::{
    driver::{TagsCompared, ask::leave_time_to_record, compare_tags},
    endpoint::EndpointError,
};

/// What comparing the tags of finished repositories came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TagsSummary {
    /// How many were taken.
    pub taken: u32,
    /// Of how many tags are missing.
    pub missing: u32,
    /// Of how many nobody will know.
    pub unverified: u32,
    /// How many the registry did not list; they come again.
    pub not_listed: u32,
}

impl Guardian {
    /// Compares the tags of finished repositories that nobody has compared yet, until none is due or the time is up. One
    /// call to the writer where none is due.
    ///
    /// # Errors
    /// [`EndpointError`] when the writer did not answer. Those that were taken come again.
    pub async fn compare_tags(&self, deadline: Instant) -> Result<TagsSummary, EndpointError> {
        let until = leave_time_to_record(deadline);
        let mut summary = TagsSummary::default();
        while Instant::now() < until {
            let rows = self.store.take_uncompared(u32::try_from(AT_ONCE).unwrap_or(1), until).await?;
            let taken = rows.len();
            let compared = rows.iter().map(|row| compare_tags(&self.store, &self.registry, row, deadline));
            let mut not_listed = 0;
            for compared in join_all(compared).await {
                summary.taken += 1;
                match compared? {
                    TagsCompared::Nothing | TagsCompared::Complete => {}
                    TagsCompared::Missing => summary.missing += 1,
                    TagsCompared::Unverified => summary.unverified += 1,
                    TagsCompared::NotListed => not_listed += 1,
                }
            }
            summary.not_listed += not_listed;
            // Where the registry lists none of them it lists none of the others.
            if taken < AT_ONCE || usize::try_from(not_listed).is_ok_and(|not_listed| not_listed == taken) {
                break;
            }
        }
        Ok(summary)
    }
}
