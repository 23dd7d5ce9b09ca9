use serde::Serialize;
use tokio::time::Instant;

use super::{Patience, Standing, begin, new_change};
use crate::{
    endpoint::{Claim, EndpointError},
    registry::RegistryClient,
    store::{Claimed, Store},
};

/// What became of a free slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// A repository is at work in it.
    Running,
    /// Nothing was started in it.
    Empty(Why),
}

/// Why nothing more is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// No row is due.
    NoneDue,
    /// No slot is free.
    NoSlot,
    /// The free slots stay empty for the waiting time.
    SlotWaits,
    /// The kill switch is off.
    Disabled,
    /// The registry takes no more for now, cannot be reached, or refuses the driver.
    RegistryUnavailable,
    /// The time was up.
    OutOfTime,
}

/// How often a claim is made anew that found no slot. A claim passes over the slot that another one is just taking,
/// and does not see the one that was freed for that other one after it began itself: the next does.
const LOOKS: usize = 3;

/// Gives a free slot to the repository that is due next, and to the one after it while those turn out to have
/// nothing to import or are refused.
///
/// # Errors
/// [`EndpointError`] when the writer did not answer.
pub async fn fill_slot(
    store: &Store<Claim>,
    registry: &RegistryClient,
    patience: Patience,
    deadline: Instant,
) -> Result<Filled, EndpointError> {
    let mut looks = 0;
    while Instant::now() < deadline {
        let row = match store.claim_next(new_change(), deadline).await? {
            Claimed::Started(row) => *row,
            Claimed::Disabled => return Ok(Filled::Empty(Why::Disabled)),
            Claimed::NoSlot => {
                looks += 1;
                if looks < LOOKS {
                    continue;
                }
                return Ok(Filled::Empty(Why::NoSlot));
            }
            Claimed::SlotWaits => return Ok(Filled::Empty(Why::SlotWaits)),
            Claimed::NoneDue => return Ok(Filled::Empty(Why::NoneDue)),
        };
        let asked = begin(store, registry, row, patience, deadline).await?;
        match asked.standing {
            Standing::Running | Standing::Unknown | Standing::MovedOn => return Ok(Filled::Running),
            Standing::Postponed | Standing::Unwelcome => return Ok(Filled::Empty(Why::RegistryUnavailable)),
            Standing::Settled | Standing::Aborted => {}
        }
    }
    Ok(Filled::Empty(Why::OutOfTime))
}
