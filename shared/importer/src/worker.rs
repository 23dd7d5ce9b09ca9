//! A worker: one lease, one step, and its end.

use std::sync::atomic::{AtomicUsize, Ordering};

use oci::Name;
use shared::{
    endpoint::EndpointError,
    store::importer::{Import, ImportStatus, ImportStep, Lease},
};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::{
    blobs::cancel_uploads,
    cause::{Cause, Failure},
    importer::{Importer, database},
    job::{End, Job},
    steps,
    stop::Stop,
};

/// What came of a worker's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    /// Nothing is in progress, or another worker has the lease.
    NotOurs,
    /// It was asked to end; its successor goes on.
    HandedBack,
    /// The lease was lost on the way.
    Lost,
    /// The step has ended.
    Ended(ImportStatus),
}

/// Counts a worker while it lives.
struct Living<'a>(&'a AtomicUsize);

impl<'a> Living<'a> {
    fn new(living: &'a AtomicUsize) -> Self {
        living.fetch_add(1, Ordering::Relaxed);
        Self(living)
    }
}

impl Drop for Living<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Importer {
    /// Copies what is in progress of a repository, until the step has ended or `stop` asks for an end. Invoked twice, late or
    /// never it does no harm: who does not get the lease ends at once.
    ///
    /// # Errors
    /// When the database does not answer. Nothing is lost: whoever takes the lease next goes on.
    pub async fn copy(&self, source: &str, stop: &Stop) -> Result<Copied, EndpointError> {
        let Some(lease) = self.copies.take_lease(source, Uuid::new_v4(), database()).await? else {
            return Ok(Copied::NotOurs);
        };
        let _living = Living::new(&self.living);
        let Lease { holder, import } = lease;
        let Some(step) = import.status.in_progress() else { return Ok(Copied::NotOurs) };
        let names = names(&import);
        let (Some(source), Some(target)) = names else {
            let failure = Failure::of_all(Cause::Protocol, "the repository's name is none");
            let status = ended_as(step, Some(&failure));
            let error = failure.kept();
            let ended = self.copies.finish_import(
                &holder,
                status,
                Some(failure.cause.as_str()),
                Some(&error),
                database(),
            );
            return Ok(ended.await?.map_or(Copied::Lost, Copied::Ended));
        };
        let job = Job::new(self.clone(), holder, import, (source, target), stop.clone());
        let end = tokio::select! {
            biased;
            end = beat(&job) => Err(end),
            done = steps::run(&job, step) => done,
        };
        conclude(&job, step, end).await
    }
}

fn names(import: &Import) -> (Option<Name>, Option<Name>) {
    (Name::parse(&import.source).ok(), Name::parse(&import.target).ok())
}

const fn ended_as(step: ImportStep, failure: Option<&Failure>) -> ImportStatus {
    match (step, failure.is_some()) {
        (ImportStep::Pre, false) => ImportStatus::PreImportComplete,
        (ImportStep::Pre, true) => ImportStatus::PreImportFailed,
        (ImportStep::Final, false) => ImportStatus::ImportComplete,
        (ImportStep::Final, true) => ImportStatus::ImportFailed,
    }
}

/// Renews the lease until it cannot, or somebody has canceled the import. What is in flight is cut off then.
async fn beat(job: &Job) -> End {
    let tuning = &job.importer.tuning;
    let mut renewed = Instant::now();
    loop {
        sleep(tuning.heartbeat).await;
        // Another may have the lease after that, by the database's clock.
        let until = renewed + tuning.lease.mul_f64(2.0 / 3.0);
        match tokio::time::timeout_at(until, job.renew()).await {
            Ok(Ok(())) => renewed = Instant::now(),
            Ok(Err(End::Database(error))) if Instant::now() < until => {
                tracing::info!(%error, "a heartbeat was not stored");
            }
            Ok(Err(End::Database(_))) | Err(_) => return End::Lost,
            Ok(Err(end)) => return end,
        }
    }
}

async fn conclude(
    job: &Job,
    step: ImportStep,
    end: Result<Option<Failure>, End>,
) -> Result<Copied, EndpointError> {
    let failure = match end {
        Ok(failure) => failure,
        Err(End::Failed(failure)) => Some(failure),
        Err(End::Canceled) => {
            cancel_uploads(job).await;
            None
        }
        Err(End::Lost) => return Ok(Copied::Lost),
        Err(End::Stopped) => {
            // What it has come to is worth a statement.
            let _ = job.renew().await;
            job.importer.copies.give_back(&job.holder, database()).await?;
            return Ok(Copied::HandedBack);
        }
        Err(End::Database(error)) => {
            let _ = job.importer.copies.give_back(&job.holder, database()).await;
            return Err(error);
        }
    };
    match job.renew().await {
        Ok(()) | Err(End::Canceled) => {}
        Err(End::Database(error)) => return Err(error),
        Err(_) => return Ok(Copied::Lost),
    }
    let status = ended_as(step, failure.as_ref());
    let (cause, error) = (failure.as_ref().map(|of| of.cause.as_str()), failure.as_ref().map(Failure::kept));
    let ended =
        job.importer.copies.finish_import(&job.holder, status, cause, error.as_deref(), database()).await?;
    Ok(ended.map_or(Copied::Lost, Copied::Ended))
}
