//! Many repositories by one process.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{StreamExt, TryStreamExt, stream};
use oci::Name;
use serde::Serialize;
use shared::{
    endpoint::EndpointError,
    migration::AttemptId,
    store::importer::{Import, ImportStart, ImportStatus, ImportStep},
};
use uuid::Uuid;

use crate::{
    decide::{Next, next, start_plan},
    importer::{Importer, database},
    stop::Stop,
    worker::Copied,
};

/// How long is waited before something is asked for again that was not to be had.
const AGAIN: Duration = Duration::from_millis(200);

/// How often the database may be silent before a run ends.
const SILENT: u32 = 10;

/// What became of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All of it is copied and proven.
    Complete,
    /// Something of it is not.
    Failed,
    /// Somebody canceled it.
    Canceled,
    /// It is not at its end yet.
    InProgress,
}

/// What became of one repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RepositoryReport {
    /// Its name at the source.
    pub source: String,
    /// Its name at the target.
    pub target: String,
    /// What became of it.
    pub status: Status,
    /// Why it failed, in a word.
    pub cause: Option<String>,
    /// And in words.
    pub error: Option<String>,
}

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Every repository that was asked for.
    pub repositories: Vec<RepositoryReport>,
    /// Whether it was asked to end before all were at theirs.
    pub stopped: bool,
}

impl Importer {
    /// Copies these repositories, `capacity` at once: what is in progress goes on, what is new begins, and what is complete is
    /// looked at once more. No repository fails the run. Whatever else is in progress is canceled: it would keep its slot.
    ///
    /// # Errors
    /// When the database is silent for longer than it may.
    pub async fn run(&self, names: &[(Name, Name)], stop: &Stop) -> Result<Report, EndpointError> {
        let named: BTreeSet<&str> = names.iter().map(|(source, _)| source.as_str()).collect();
        for source in self.protocol.unattended(database()).await? {
            if !named.contains(source.as_str()) {
                self.protocol.cancel_import(&source, false, database()).await?;
            }
        }
        let rows: BTreeMap<String, bool> = self
            .progress()
            .await?
            .into_iter()
            .map(|import| (import.source.clone(), import.status.in_progress().is_some()))
            .collect();
        // They have the slots that others wait for.
        let (going, rest): (Vec<_>, Vec<_>) =
            names.iter().cloned().partition(|(source, _)| rows.get(source.as_str()) == Some(&true));
        let at_once = usize::try_from(self.tuning.capacity.max(1)).unwrap_or(1);
        let repositories: Vec<RepositoryReport> = stream::iter(going.into_iter().chain(rest))
            .map(|(source, target)| async move { self.run_one(&source, &target, stop).await })
            .buffer_unordered(at_once)
            .try_collect()
            .await?;
        Ok(Report { repositories, stopped: stop.is_asked() })
    }

    async fn run_one(
        &self,
        source: &Name,
        target: &Name,
        stop: &Stop,
    ) -> Result<RepositoryReport, EndpointError> {
        let (mut ended_here, mut silent) = (false, 0);
        loop {
            match self.take_further(source, target, &mut ended_here, stop).await {
                Ok(Some(report)) => return Ok(report),
                Ok(None) => silent = 0,
                Err(error) if silent < SILENT && error.is_unavailable() => {
                    silent += 1;
                    stop.asked_within(AGAIN * silent).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One thing more. The report, where there is none.
    async fn take_further(
        &self,
        source: &Name,
        target: &Name,
        ended_here: &mut bool,
        stop: &Stop,
    ) -> Result<Option<RepositoryReport>, EndpointError> {
        let row = self.protocol.import(source.as_str(), database()).await?;
        if stop.is_asked() {
            return Ok(Some(report(source, target, row.as_ref())));
        }
        match next(row.as_ref().map(|row| row.status), *ended_here) {
            Next::End => return Ok(Some(report(source, target, row.as_ref()))),
            Next::LookAgain => {
                self.protocol.cancel_import(source.as_str(), true, database()).await?;
            }
            Next::Start(step) => {
                if !self.start(source, target, step).await? {
                    stop.asked_within(AGAIN).await;
                }
            }
            Next::Copy if row.is_some_and(|row| row.target != target.as_str()) => {
                // It was begun under another name.
                self.protocol.cancel_import(source.as_str(), false, database()).await?;
            }
            Next::Copy => match self.copy(source.as_str(), stop).await? {
                Copied::Ended(_) => *ended_here = true,
                Copied::HandedBack | Copied::Lost => {}
                Copied::NotOurs => {
                    stop.asked_within(AGAIN).await;
                }
            },
        }
        Ok(None)
    }

    /// Starts a step, which [`Importer::copy`] then does. Whether it is started: there may be no room, or it may not be its
    /// turn.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn start(&self, source: &Name, target: &Name, step: ImportStep) -> Result<bool, EndpointError> {
        let start = ImportStart {
            source: source.as_str(),
            target: target.as_str(),
            step: Some(step),
            attempt: AttemptId::new(Uuid::new_v4()),
            change: Uuid::new_v4(),
            request_id: None,
            settle_seconds: 0,
            plan: &start_plan(step),
        };
        Ok(self.protocol.start_import(&start, database()).await?.started())
    }
}

fn report(source: &Name, target: &Name, row: Option<&Import>) -> RepositoryReport {
    use ImportStatus as Is;
    let status = match row.map(|row| row.status) {
        Some(Is::ImportComplete) => Status::Complete,
        Some(Is::PreImportFailed | Is::ImportFailed) => Status::Failed,
        Some(Is::PreImportCanceled | Is::ImportCanceled) => Status::Canceled,
        None | Some(Is::PreImportInProgress | Is::PreImportComplete | Is::ImportInProgress) => {
            Status::InProgress
        }
    };
    RepositoryReport {
        source: source.as_str().to_owned(),
        target: target.as_str().to_owned(),
        status,
        cause: row.and_then(|row| row.cause.clone()),
        error: row.and_then(|row| row.error.clone()),
    }
}
