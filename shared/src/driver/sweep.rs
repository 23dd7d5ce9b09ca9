use serde::Serialize;
use tokio::time::Instant;

use super::{Filled, Patience, Standing, Why, ask_registry, fill_slot, new_change};
use crate::{
    endpoint::{Claim, EndpointError},
    registry::RegistryClient,
    store::{Claimed, Store},
};

/// What a sweep did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sweep {
    /// Parked repositories that went on with the final step.
    pub resumed: u32,
    /// Repositories that took a free slot.
    pub started: u32,
    /// Repositories that have more tags than the settings allow, and are skipped.
    pub skipped: u32,
    /// Why it ended.
    pub ended: Why,
}

/// Starts what is due: first the parked repositories, which hold their slots, then, once those that have too
/// many tags are skipped, as many as there are free slots. Ends at the first sign that the registry has no room: asking on would only move rows to and fro.
///
/// # Errors
/// [`EndpointError`] when the writer did not answer.
pub async fn sweep(
    store: &Store<Claim>,
    registry: &RegistryClient,
    deadline: Instant,
) -> Result<Sweep, EndpointError> {
    let mut sweep = Sweep { resumed: 0, started: 0, skipped: 0, ended: Why::NoneDue };
    while Instant::now() < deadline {
        let row = match store.resume_parked(new_change(), deadline).await? {
            Claimed::Started(row) => *row,
            Claimed::Disabled => return Ok(Sweep { ended: Why::Disabled, ..sweep }),
            Claimed::NoSlot | Claimed::SlotWaits | Claimed::NoneDue => break,
        };
        let asked = ask_registry(store, registry, row, Patience::None, deadline).await?;
        if matches!(asked.standing, Standing::Postponed | Standing::Unwelcome) {
            return Ok(Sweep { ended: Why::RegistryUnavailable, ..sweep });
        }
        sweep.resumed += 1;
    }
    while Instant::now() < deadline {
        let skipped = store.skip_many_tags(deadline).await?;
        sweep.skipped += skipped;
        if skipped < Store::MANY_TAGS_AT_ONCE {
            break;
        }
    }
    loop {
        match fill_slot(store, registry, Patience::None, deadline).await? {
            Filled::Running => sweep.started += 1,
            Filled::Empty(ended) => return Ok(Sweep { ended, ..sweep }),
        }
    }
}
