use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Import, ImportStatus, protocol::one};
use crate::{
    endpoint::{CopyRepository, EndpointError, Statement},
    store::Store,
};

const PREPARE: &str = include_str!("sql/prepare.sql");
const TAKE_LEASE: &str = include_str!("sql/take_lease.sql");
const HEARTBEAT: &str = include_str!("sql/heartbeat.sql");
const GIVE_BACK: &str = include_str!("sql/give_back.sql");
const FINISH: &str = include_str!("sql/finish.sql");
const PROGRESS: &str = include_str!("sql/progress.sql");
const LIMIT: &str = include_str!("sql/limit.sql");

/// How far an import has come, of what is known so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is a number of what it is called after")]
pub struct Progress {
    pub tags_known: u64,
    pub tags_done: u64,
    pub manifests_known: u64,
    pub manifests_done: u64,
    pub blobs_known: u64,
    pub blobs_done: u64,
    pub bytes_known: u64,
    pub bytes_done: u64,
}

/// Who works on which attempt of which import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The repository at the source.
    pub source: String,
    /// The attempt.
    pub attempt: Uuid,
    /// The worker's own id.
    pub worker: Uuid,
}

/// A lease that was taken, with the import as it stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// By whom.
    pub holder: Holder,
    /// On what.
    pub import: Import,
}

/// How much a registry is asked for at most, by all workers together.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Limit {
    /// `source` or `target`.
    pub side: String,
    /// `requests`, `bytes`, or one of the client's actions.
    pub action: String,
    /// How many a second.
    pub per_second: f64,
}

/// What a heartbeat brings back.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Heartbeat {
    /// How the import stands. None: the lease is another's, or the attempt is.
    pub status: Option<ImportStatus>,
    /// How many living workers share the limits.
    pub workers: u32,
    /// The limits.
    pub limits: Vec<Limit>,
}

#[derive(Deserialize)]
struct Ended {
    status: Option<ImportStatus>,
}

impl Store<CopyRepository> {
    /// Stores how many repositories may be copied at once and how long a lease lasts, and makes the slots. `alone`: no other
    /// process works on this database, so the leases that are left are those of dead ones, and are ended.
    pub async fn prepare(
        &self,
        capacity: u32,
        lease: Duration,
        alone: bool,
        deadline: Instant,
    ) -> Result<(), EndpointError> {
        let statement = Statement::repeatable_write("prepare_imports", PREPARE)
            .bind("capacity", capacity)
            .bind("lease_seconds", i64::try_from(lease.as_secs().max(1)).unwrap_or(i64::MAX))
            .bind("alone", alone);
        self.endpoint.fetch::<serde_json::Value, _>(statement, deadline).await.map(drop)
    }

    /// Takes the lease on an import in progress. None: somebody else has it, or nothing is in progress.
    ///
    /// May be repeated by the same worker after an unknown outcome.
    pub async fn take_lease(
        &self,
        source: &str,
        worker: Uuid,
        deadline: Instant,
    ) -> Result<Option<Lease>, EndpointError> {
        let statement = Statement::repeatable_write("take_lease", TAKE_LEASE)
            .brief()
            .bind("source", source)
            .bind("worker", worker);
        let import: Option<Import> = self.endpoint.fetch(statement, deadline).await?.pop();
        Ok(import.map(|import| Lease {
            holder: Holder { source: source.to_owned(), attempt: import.attempt, worker },
            import,
        }))
    }

    /// Renews a lease and stores how far its holder has come. `moved`: something was finished since the last heartbeat.
    /// `wrote`: from now on something may have been written to the target.
    pub async fn heartbeat(
        &self,
        holder: &Holder,
        progress: &Progress,
        moved: bool,
        wrote: bool,
        deadline: Instant,
    ) -> Result<Heartbeat, EndpointError> {
        let statement = Statement::repeatable_write("renew_lease", HEARTBEAT)
            .brief()
            .bind("source", &holder.source)
            .bind("attempt", holder.attempt)
            .bind("worker", holder.worker)
            .bind("progress", &serde_json::to_value(progress).unwrap_or_default())
            .bind("moved", moved)
            .bind("wrote", wrote);
        one(self.endpoint.fetch(statement, deadline).await?, "renew_lease")
    }

    /// Gives a lease back before its time. One that is another's stays.
    pub async fn give_back(&self, holder: &Holder, deadline: Instant) -> Result<(), EndpointError> {
        let statement = Statement::repeatable_write("give_back", GIVE_BACK)
            .brief()
            .bind("source", &holder.source)
            .bind("worker", holder.worker);
        self.endpoint.fetch::<serde_json::Value, _>(statement, deadline).await.map(drop)
    }

    /// Stores how a step ended, and frees its slot. How the import stands then: what was canceled meanwhile stays so.
    /// None: the lease was another's, and nothing is changed.
    ///
    /// May be repeated after an unknown outcome.
    pub async fn finish_import(
        &self,
        holder: &Holder,
        status: ImportStatus,
        cause: Option<&str>,
        error: Option<&str>,
        deadline: Instant,
    ) -> Result<Option<ImportStatus>, EndpointError> {
        let statement = Statement::repeatable_write("finish_import", FINISH)
            .brief()
            .bind("source", &holder.source)
            .bind("attempt", holder.attempt)
            .bind("worker", holder.worker)
            .bind("status", status.name())
            .bind("cause", cause)
            .bind("error", error);
        let ended: Ended = one(self.endpoint.fetch(statement, deadline).await?, "finish_import")?;
        Ok(ended.status)
    }

    /// The imports after `after` in the order of their sources, at most 500.
    pub async fn imports(&self, after: &str, deadline: Instant) -> Result<Vec<Import>, EndpointError> {
        self.endpoint.fetch(Statement::read("imports", PROGRESS).bind("after", after), deadline).await
    }

    /// Sets how much a registry is asked for at most by all workers together. None ends the limit. Workers learn of it by
    /// their next heartbeat.
    pub async fn limit(
        &self,
        side: &str,
        action: &str,
        per_second: Option<f64>,
        deadline: Instant,
    ) -> Result<(), EndpointError> {
        let statement = Statement::repeatable_write("limit_imports", LIMIT)
            .brief()
            .bind("side", side)
            .bind("action", action)
            .bind("per_second", per_second.map(|number| number.to_string()));
        self.endpoint.fetch::<serde_json::Value, _>(statement, deadline).await.map(drop)
    }
}
