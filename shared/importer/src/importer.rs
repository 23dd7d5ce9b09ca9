//! What one process copies with.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use oci::{Client, Digest, Manifest, Name, Reference};
use serde::Serialize;
use shared::{
    endpoint::{CopyRepository, EndpointError, ImportProtocol, Writer},
    store::{Store, importer::Limit},
};
use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};

use crate::{
    buffers::Buffers,
    cache::ManifestCache,
    cause::{Cause, Failure, Side},
    tree::Tree,
};

/// How long the database has for a statement.
const DATABASE: Duration = Duration::from_secs(30);

/// The longest that limits are believed to hold anything back.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How many blobs that need several parts are copied at once by a process.
const LANES: u64 = 2;

/// What an importer is made of.
pub struct Wiring {
    /// The database.
    pub writer: Writer,
    /// The registry that is read.
    pub source: Client,
    /// The registry that is written.
    pub target: Client,
    /// Where manifests are kept.
    pub cache: Arc<dyn ManifestCache>,
    /// How it works.
    pub tuning: Tuning,
}

/// How an importer works.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// How many repositories are copied at once.
    pub capacity: u32,
    /// A blob larger than this is sent in parts of this size.
    pub part: u64,
    /// How many bytes of parts the process holds at most, whatever number of repositories it copies. At least five parts.
    pub parts_in_memory: u64,
    /// How many requests of one repository are under way at once.
    pub in_flight: usize,
    /// How often the tags are written again because the source changed meanwhile.
    pub rounds: u32,
    /// How long a worker may be silent before another takes its place.
    pub lease: Duration,
    /// How often it says that it lives.
    pub heartbeat: Duration,
    /// How long after a canceled pre step the import protocol refuses another start.
    pub settle: Duration,
    /// How long a registry may refuse or be silent before a repository is given up.
    pub patience: Duration,
    /// Whether a tag of the target is removed that the importer wrote and the source has no more. Only where the target
    /// removes single tags.
    pub delete_removed: bool,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            capacity: 10,
            part: 5 << 20,
            parts_in_memory: 26 << 20,
            in_flight: 8,
            rounds: 5,
            lease: Duration::from_secs(30),
            heartbeat: Duration::from_secs(4),
            settle: Duration::from_secs(5),
            patience: Duration::from_secs(120),
            delete_removed: false,
        }
    }
}

/// What a process has done since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Bytes of blobs that were read from the source.
    pub bytes_read: u64,
    /// Bytes of blobs that were sent to the target, and answered.
    pub bytes_sent: u64,
    /// Blobs that were copied.
    pub blobs_copied: u64,
    /// Blobs that another repository of the target had.
    pub blobs_mounted: u64,
    /// Uploads that were lost and begun anew.
    pub begun_anew: u64,
    /// Uploads that an earlier process had begun and that went on.
    pub gone_on: u64,
}

#[derive(Default)]
pub(crate) struct Counted {
    pub(crate) bytes_read: AtomicU64,
    pub(crate) bytes_sent: AtomicU64,
    pub(crate) blobs_copied: AtomicU64,
    pub(crate) blobs_mounted: AtomicU64,
    pub(crate) begun_anew: AtomicU64,
    pub(crate) gone_on: AtomicU64,
}

pub(crate) fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// Copies between one source and one target, for as many repositories as there are. Clones are one.
#[derive(Clone)]
pub struct Importer {
    inner: Arc<Inner>,
}

/// What all clones share.
pub struct Inner {
    pub(crate) copies: Store<CopyRepository>,
    pub(crate) protocol: Store<ImportProtocol>,
    pub(crate) source: Client,
    pub(crate) target: Client,
    pub(crate) cache: Arc<dyn ManifestCache>,
    pub(crate) tuning: Tuning,
    /// Room for whole blobs, in KiB.
    pub(crate) small: Semaphore,
    /// Room for blobs in parts: each takes two parts at most.
    pub(crate) lanes: Semaphore,
    pub(crate) buffers: Buffers,
    /// Workers that wait for a blob that another one copies.
    pub(crate) waiting: AtomicUsize,
    pub(crate) copied: Notify,
    /// Who claims blobs and notes them does so one after the other: of two statements at once neither sees what the other
    /// writes, and a blob would be copied twice.
    pub(crate) claiming: tokio::sync::Mutex<()>,
    /// Workers of this process that live.
    pub(crate) living: AtomicUsize,
    pub(crate) counted: Counted,
    trees: Mutex<BTreeMap<String, Tree>>,
    limits: [oci::Limits; 2],
    limited: Mutex<Option<(u32, usize, Vec<Limit>)>>,
}

impl std::ops::Deref for Importer {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl Importer {
    /// One of these parts.
    #[must_use]
    pub fn new(wiring: Wiring) -> Self {
        let Wiring { writer, source, target, cache, tuning } = wiring;
        let lanes = LANES * 2 * tuning.part;
        let small = tuning.parts_in_memory.saturating_sub(lanes).max(tuning.part);
        let kib = usize::try_from(small / 1024).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let limits = [source.limits(), target.limits()];
        Self {
            inner: Arc::new(Inner {
                copies: Store::new(writer.clone()),
                protocol: Store::new(writer),
                source,
                target,
                cache,
                small: Semaphore::new(kib),
                lanes: Semaphore::new(usize::try_from(LANES).unwrap_or(1)),
                buffers: Buffers::new(usize::try_from(2 * LANES).unwrap_or(2)),
                tuning,
                waiting: AtomicUsize::new(0),
                copied: Notify::new(),
                claiming: tokio::sync::Mutex::new(()),
                living: AtomicUsize::new(0),
                counted: Counted::default(),
                trees: Mutex::default(),
                limits,
                limited: Mutex::default(),
            }),
        }
    }

    /// Stores the capacity and the lease, and makes the slots. `alone`: the caller knows that no other process works on this
    /// database, so the leases that are left are those of dead ones.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn prepare(&self, alone: bool) -> Result<(), EndpointError> {
        self.copies.prepare(self.tuning.capacity, self.tuning.lease, alone, database()).await
    }

    /// What this process has done since it began.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counted = &self.counted;
        Counters {
            bytes_read: of(&counted.bytes_read),
            bytes_sent: of(&counted.bytes_sent),
            blobs_copied: of(&counted.blobs_copied),
            blobs_mounted: of(&counted.blobs_mounted),
            begun_anew: of(&counted.begun_anew),
            gone_on: of(&counted.gone_on),
        }
    }
}

impl Inner {
    /// Until when a registry has to answer. What limits hold back by themselves is not its delay.
    pub(crate) fn patience(&self) -> Instant {
        let held_back = [&self.source, &self.target].map(|client| held_back(&client.limits(), &self.tuning));
        Instant::now() + self.tuning.patience + held_back.into_iter().max().unwrap_or_default()
    }

    /// What is known of a repository of the source from an earlier step or the plan. It is taken: whoever learns more keeps it.
    pub(crate) fn take_tree(&self, source: &str) -> Option<Tree> {
        self.trees.lock().unwrap_or_else(PoisonError::into_inner).remove(source)
    }

    pub(crate) fn keep_tree(&self, source: &str, tree: Tree) {
        self.trees.lock().unwrap_or_else(PoisonError::into_inner).insert(source.to_owned(), tree);
    }

    /// A manifest's bytes, from where they are kept or from the source.
    pub(crate) async fn manifest(&self, name: &Name, digest: &Digest) -> Result<Manifest, Failure> {
        if let Some(manifest) = self.cache.get(digest).await {
            return Ok(manifest);
        }
        let reference = Reference::from(digest.clone());
        let manifest = match self.source.get_manifest(name, &reference, self.patience()).await {
            Ok(Some(manifest)) => manifest,
            Ok(None) => {
                let said = format!("source: the manifest {digest} is missing");
                return Err(Failure::of_part(Cause::SourceBroken, said));
            }
            Err(error) => return Err(self.failure_of_manifest(Side::Source, name, &error).await),
        };
        self.cache.put(&manifest).await;
        Ok(manifest)
    }

    /// What it means that one manifest is not to be had: a registry that answers nothing else either is ill, and all of the
    /// repository fails.
    pub(crate) async fn failure_of_manifest(&self, side: Side, name: &Name, error: &oci::Error) -> Failure {
        if error.cause == oci::Cause::ServerError {
            let client = match side {
                Side::Source => &self.source,
                Side::Target => &self.target,
            };
            match client.tags_page(name, None, self.patience()).await {
                Err(ill) if ill.cause != oci::Cause::NotFound => {
                    return Failure { whole: true, ..Failure::of(side, &ill) };
                }
                Ok(_) | Err(_) => {}
            }
        }
        Failure::of(side, error)
    }

    /// Gives this process its share of the limits that all workers have together.
    pub(crate) fn share_limits(&self, workers: u32, limits: &[Limit]) {
        let living = self.living.load(Ordering::Relaxed).max(1);
        let mut limited = self.limited.lock().unwrap_or_else(PoisonError::into_inner);
        let now = (workers, living, limits.to_vec());
        if limited.as_ref() == Some(&now) || (limited.is_none() && limits.is_empty()) {
            return;
        }
        let workers = f64::from(workers.max(1));
        let share = (u32::try_from(living).map_or(workers, f64::from) / workers).min(1.0);
        for (side, client, base) in
            [("source", &self.source, &self.limits[0]), ("target", &self.target, &self.limits[1])]
        {
            let mut changed = base.clone();
            for limit in limits.iter().filter(|limit| limit.side == side) {
                apply(&mut changed, &limit.action, limit.per_second * share);
            }
            client.set_limits(changed);
        }
        *limited = Some(now);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a positive number of bytes a second"
)]
fn apply(limits: &mut oci::Limits, action: &str, per_second: f64) {
    match action {
        "requests" => limits.requests_per_second = Some(per_second),
        "bytes" => limits.bytes_per_second = Some(per_second.max(1.0) as u64),
        action => match oci::Action::named(action) {
            Some(action) => {
                limits.actions.insert(action, per_second);
            }
            None => tracing::warn!(action, "there is no such limit"),
        },
    }
}

/// The longest that limits may hold a request back, and a part: all that the process has under way at once goes before it.
fn held_back(limits: &oci::Limits, tuning: &Tuning) -> Duration {
    let requests = f64::from(tuning.capacity) * u32::try_from(tuning.in_flight).map_or(f64::MAX, f64::from);
    let slowest =
        limits.requests_per_second.into_iter().chain(limits.actions.values().copied()).reduce(f64::min);
    let turn = slowest.map_or(0.0, |per_second| requests / per_second);
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let bytes = limits.bytes_per_second.map_or(0.0, |rate| tuning.parts_in_memory as f64 / rate as f64);
    Duration::try_from_secs_f64(turn + bytes).unwrap_or(LONGEST).min(LONGEST)
}

/// Until when the database has to answer.
pub(crate) fn database() -> Instant {
    Instant::now() + DATABASE
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LONGEST, Tuning, held_back};

    #[test]
    fn waits_longer_where_limits_hold_back() {
        let tuning = Tuning::default();
        let of = |requests: Option<f64>, bytes: Option<u64>| {
            let limits = oci::Limits {
                requests_per_second: requests,
                bytes_per_second: bytes,
                ..oci::Limits::default()
            };
            held_back(&limits, &tuning)
        };
        assert_eq!(of(None, None), Duration::ZERO);
        assert_eq!(of(Some(8.0), None), Duration::from_secs(10));
        assert_eq!(of(None, Some(1 << 20)), Duration::from_secs(26));
        assert_eq!(of(Some(8.0), Some(1 << 20)), Duration::from_secs(36));
        assert_eq!(of(Some(0.0), None), LONGEST);
    }
}
