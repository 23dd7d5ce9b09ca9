//! The guard: looks after the repositories that seem stuck. Asks the registry first, aborts last.

mod queue;
mod row;
mod summary;
mod tags;

use std::{
    slice,
    sync::{Mutex, PoisonError},
};

use futures::future::join_all;
use tokio::time::Instant;

use row::Caretaker;
pub use summary::GuardSummary;
pub use tags::TagsSummary;

use self::queue::{Queue, next_look};
use super::Patience;
use crate::{
    endpoint::{Claim, EndpointError, Guard, Served, StaleScan},
    lock::lock,
    migration::RepositoryPath,
    registry::RegistryClient,
    store::{Lease, Store},
};

/// How many repositories are looked at at once. One whose registry call hangs holds up none of the others.
const AT_ONCE: usize = 8;

/// How many a scan names at most: there are no more slots, and so no more rows in progress.
const MOST: u32 = 1000;

/// What the guard works with.
pub struct Guardian {
    /// The reader, for the scan; the writer where the reader cannot serve or may not, or stands still.
    pub scan: Store<StaleScan>,
    /// The writer, for decisions.
    pub store: Store<Guard>,
    /// The writer, for filling the slots that are freed.
    pub claims: Store<Claim>,
    /// The registry.
    pub registry: RegistryClient,
    /// Whose leases its rows are.
    pub lease: Lease,
}

impl Guardian {
    /// One round: finds what is due, asks the registry about each, and acts on what it says. Leases rows
    /// for two thirds of the time until `deadline`, and leaves the rest to those leased last. What is not
    /// reached is what the next round begins with.
    ///
    /// # Errors
    /// [`EndpointError`] when neither endpoint that may hint did, or the writer did not answer. Rows that had been
    /// leased are looked after first.
    pub async fn round(&self, deadline: Instant) -> Result<GuardSummary, EndpointError> {
        let now = Instant::now();
        let time = deadline.saturating_duration_since(now);
        let overdue = self.store.overdue_line(now + time / 4).await?;
        let Served { found: hints, by } = self.scan.scan_stuck(MOST, overdue, now + time / 2).await?;
        let queue = tokio::sync::Mutex::new(Queue::new(self, &hints, now + time * 2 / 3, deadline));
        let summary = Mutex::new(GuardSummary::default());
        let (store, claims, registry) = (&self.store, &self.claims, &self.registry);
        let caretaker = Caretaker { store, claims, registry, patience: Patience::None };
        let lane = async || {
            loop {
                // Let go of the queue before looking.
                let next = queue.lock().await.next().await;
                let Some(stuck) = next else { return };
                let looked = caretaker.look_after(&stuck, deadline).await;
                queue.lock().await.looked_at(&stuck, looked.found);
                lock(&summary).add(&looked);
            }
        };
        join_all((0..AT_ONCE).map(|_| lane())).await;
        let summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
        let summary = queue.into_inner().close(summary).await?;
        Ok(GuardSummary { hinted_by: Some(by), ..summary })
    }
}

/// Looks after a row that a notification has cast doubt on, as a round would. The notification has been answered, and
/// the registry may be about to release the slot of its import.
///
/// # Errors
/// [`EndpointError`] when the row could not be leased on the writer: then it is the next round's.
pub async fn reconcile(
    store: &Store<Guard>,
    claims: &Store<Claim>,
    registry: &RegistryClient,
    path: &RepositoryPath,
    deadline: Instant,
) -> Result<(), EndpointError> {
    let lease = Lease::random();
    let leased = store.lease_stuck(slice::from_ref(path), lease, deadline).await?;
    let Some(stuck) = leased.into_iter().find(|stuck| stuck.row.path == *path) else { return Ok(()) };
    let caretaker = Caretaker { store, claims, registry, patience: Patience::AfterNotification };
    let looked = caretaker.look_after(&stuck, deadline).await;
    if let Some(look) = next_look(&stuck, looked.found) {
        store.release_stuck(&[look], lease, deadline).await?;
    }
    Ok(())
}
