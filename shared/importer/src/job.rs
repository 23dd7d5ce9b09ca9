//! One worker's hold on one import.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use oci::Name;
use shared::{
    endpoint::EndpointError,
    store::importer::{Claimant, Holder, Import, Progress},
};

use crate::{
    cause::Failure,
    importer::{Importer, database},
    stop::Stop,
};

/// Why a step does not go on.
#[derive(Debug)]
pub(crate) enum End {
    /// It was asked to end; everything is stored.
    Stopped,
    /// Somebody canceled it.
    Canceled,
    /// The lease is another's, or nobody knows whether it still is one.
    Lost,
    /// All of the repository failed.
    Failed(Failure),
    /// The database does not answer.
    Database(EndpointError),
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<EndpointError> for End {
    fn from(error: EndpointError) -> Self {
        Self::Database(error)
    }
}

pub(crate) struct Job {
    pub(crate) importer: Importer,
    pub(crate) holder: Holder,
    pub(crate) import: Import,
    pub(crate) source: Name,
    pub(crate) target: Name,
    pub(crate) stop: Stop,
    progress: Mutex<Progress>,
    moved: AtomicBool,
    wrote: AtomicBool,
}

impl Job {
    pub(crate) fn new(
        importer: Importer,
        holder: Holder,
        import: Import,
        names: (Name, Name),
        stop: Stop,
    ) -> Self {
        let wrote = AtomicBool::new(import.wrote);
        let (source, target) = names;
        Self {
            importer,
            holder,
            import,
            source,
            target,
            stop,
            progress: Mutex::default(),
            moved: AtomicBool::new(true),
            wrote,
        }
    }

    /// For whom blobs are claimed.
    pub(crate) fn claimant(&self) -> Claimant<'_> {
        Claimant { source: &self.holder.source, target: self.target.as_str() }
    }

    /// Changes how far it has come.
    pub(crate) fn known(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The same, where something was finished.
    pub(crate) fn done(&self, change: impl FnOnce(&mut Progress)) {
        self.known(change);
        self.moved.store(true, Ordering::Relaxed);
    }

    /// Ends what was asked to end.
    pub(crate) fn check(&self) -> Result<(), End> {
        if self.stop.is_asked() { Err(End::Stopped) } else { Ok(()) }
    }

    /// Renews the lease and stores how far it has come.
    pub(crate) async fn renew(&self) -> Result<(), End> {
        let progress = *self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let moved = self.moved.swap(false, Ordering::Relaxed);
        let wrote = self.wrote.load(Ordering::Relaxed);
        let beat = self.importer.copies.heartbeat(&self.holder, &progress, moved, wrote, database()).await?;
        match beat.status {
            None => return Err(End::Lost),
            Some(status) if status.is_canceled() => return Err(End::Canceled),
            Some(_) => {}
        }
        self.importer.share_limits(beat.workers, &beat.limits);
        Ok(())
    }

    /// Says that from now on the target may hold something of ours, and stores that before it does.
    pub(crate) async fn will_write(&self) -> Result<(), End> {
        if self.wrote.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        self.renew().await
    }
}
