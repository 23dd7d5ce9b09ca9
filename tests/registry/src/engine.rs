//! The registry's inside: what is asked for is decided, stored and begun here.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::book::{Book, Entry};
use crate::config::Config;
use crate::decide::{self, Cancel, Known, Start};
use crate::error_code::ErrorCode;
use crate::import::Import;
use crate::journal::Journal;
use crate::lock::lock;
use crate::notification::Notifier;
use crate::rules::Rules;
use crate::status::{Report, Status, Step};
use crate::storage::Storage;

/// What outlives a restart: the faults, the journals and the limit belong to the test, not to the process that
/// is restarted.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    pub rules: Rules,
    pub journal: Journal,
    pub max_concurrent_imports: AtomicUsize,
    pub migration_mode: AtomicBool,
}

/// One run of the registry, from start to stop.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) old: Storage,
    pub(crate) new: Storage,
    pub(crate) config: Config,
    pub(crate) desk: Arc<Desk>,
    pub(crate) notifier: Notifier,
    state: Mutex<State>,
    changed: watch::Sender<()>,
    /// The registry was told to stop: running imports end canceled.
    pub(crate) stopping: CancellationToken,
    /// The registry is gone: nothing is stored or sent any more.
    gone: CancellationToken,
    imports: TaskTracker,
}

#[derive(Debug)]
struct State {
    book: Book,
    running: HashMap<String, Running>,
    slots_in_use: usize,
    last_import: u64,
}

/// The newest import of a container repository.
#[derive(Debug)]
struct Running {
    number: u64,
    canceled: watch::Sender<Option<Status>>,
}

/// What a start led to.
pub(crate) enum Started {
    /// There is nothing to do.
    AlreadyThere,
    /// The import runs; becomes true when its notification has been sent and answered.
    Begun {
        notified: watch::Receiver<bool>,
        /// Whether the answer has to wait for that.
        answer_after_notification: bool,
    },
}

/// Why a cancel did nothing.
pub(crate) enum NotCanceled {
    Unknown,
    Refused { status: Status },
    Broken,
}

/// One of the places for a running import. Dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Engine>);

impl Drop for Slot {
    fn drop(&mut self) {
        lock(&self.0.state).slots_in_use -= 1;
        self.0.changed.send_replace(());
    }
}

impl Engine {
    pub(crate) fn open(config: &Config, desk: Arc<Desk>, gone: CancellationToken) -> anyhow::Result<Self> {
        let book = Book::open(&config.new_storage)?;
        Ok(Self {
            old: Storage::new(&config.old_storage),
            new: Storage::new(&config.new_storage),
            config: config.clone(),
            desk,
            notifier: Notifier::new(config.notification.clone())?,
            state: Mutex::new(State { book, running: HashMap::new(), slots_in_use: 0, last_import: 0 }),
            changed: watch::channel(()).0,
            stopping: CancellationToken::new(),
            gone,
            imports: TaskTracker::new(),
        })
    }

    /// Begins an import. The checks stand in the order in which the real registry makes them; the import runs when
    /// this returns, before the caller has written any answer.
    pub(crate) fn start(
        self: &Arc<Self>,
        path: &str,
        import_type: &str,
        request_id: &str,
    ) -> Result<Started, ErrorCode> {
        let slot = self.take_slot().ok_or(ErrorCode::ImportRateLimit)?;
        let step = Step::parse(import_type).ok_or(ErrorCode::InvalidQueryParameterValue)?;
        let (number, canceled) = {
            let mut state = lock(&self.state);
            match decide::start(self.known(&state, path), step, self.config.cancel_settle) {
                Start::AlreadyThere => return Ok(Started::AlreadyThere),
                Start::Refuse(code) => return Err(code),
                Start::Begin => {}
            }
            state.book.write(path, step.in_progress(), None).map_err(broken)?;
            state.last_import += 1;
            let (sender, canceled) = watch::channel(None);
            let number = state.last_import;
            state.running.insert(path.to_owned(), Running { number, canceled: sender });
            (number, canceled)
        };
        self.changed.send_replace(());
        let effects = self.desk.rules.for_import(path, step);
        let answer_after_notification = effects.before_accepted;
        let (sender, notified) = watch::channel(false);
        let import = Import {
            number,
            path: path.to_owned(),
            step,
            request_id: request_id.to_owned(),
            effects,
            canceled,
        };
        let (engine, gone) = (Arc::clone(self), self.gone.clone());
        if self.stopping.is_cancelled() {
            // A registry that stops still accepts, and cuts off what it accepted: nothing is stored or sent.
            self.imports.spawn(async move {
                gone.cancelled().await;
                drop((import, slot, sender));
            });
        } else {
            self.imports
                .spawn(async move { gone.run_until_cancelled(engine.run(import, slot, sender)).await });
        }
        Ok(Started::Begun { notified, answer_after_notification })
    }

    /// Cancels what runs, or, with `force`, what has run. The status is written at once; a running import
    /// notices later.
    pub(crate) fn cancel(&self, path: &str, force: bool) -> Result<(), NotCanceled> {
        let mut state = lock(&self.state);
        let status = self.known(&state, path).status;
        let canceled = match (decide::cancel(status, force), status) {
            (Cancel::Write(canceled), _) => canceled,
            (Cancel::Refuse, Some(status)) => return Err(NotCanceled::Refused { status }),
            (Cancel::Refuse | Cancel::Unknown, _) => return Err(NotCanceled::Unknown),
        };
        state.book.write(path, canceled, None).map_err(|error| {
            broken(error);
            NotCanceled::Broken
        })?;
        if let Some(running) = state.running.get(path) {
            running.canceled.send_replace(Some(canceled));
        }
        drop(state);
        self.changed.send_replace(());
        Ok(())
    }

    /// What the registry says about a container repository; `None` when it knows nothing of an import.
    pub(crate) fn report(&self, path: &str) -> Option<Report> {
        let state = lock(&self.state);
        let status = self.known(&state, path).status?;
        let error = state.book.get(path).and_then(|entry| entry.error.as_deref());
        Some(Report::new(path, status, error))
    }

    /// Every status that is stored.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        lock(&self.state).book.entries().cloned().collect()
    }

    /// How many imports hold a slot.
    pub(crate) fn slots_in_use(&self) -> usize {
        lock(&self.state).slots_in_use
    }

    /// Whether there is an import protocol and a new storage. Before that users know the old storage only.
    pub(crate) fn is_in_migration_mode(&self) -> bool {
        self.desk.migration_mode.load(Ordering::SeqCst)
    }

    /// The storage that serves a container repository to users.
    pub(crate) fn serving(&self, path: &str) -> Option<&Storage> {
        if !self.is_in_migration_mode() {
            return self.old.holds(path).then_some(&self.old);
        }
        let status = self.known(&lock(&self.state), path).status;
        if status.is_some_and(Status::is_on_new_storage) {
            return Some(&self.new);
        }
        self.old.holds(path).then_some(&self.old)
    }

    /// The storage that what is new is pushed to, and whose repositories the catalogue lists. In migration mode the
    /// real one lists what its database has: nothing that has not been imported.
    pub(crate) fn newest(&self) -> &Storage {
        if self.is_in_migration_mode() { &self.new } else { &self.old }
    }

    /// Waits until `holds` is true of the engine.
    pub(crate) async fn wait_until(&self, holds: impl Fn(&Self) -> bool) {
        let mut changed = self.changed.subscribe();
        while !holds(self) {
            // Cannot fail: the sender lives in self.
            let _ = changed.changed().await;
        }
    }

    /// Stores how an import ended and says what to tell the driver. An import that was canceled meanwhile ends
    /// with the status the cancel has written.
    pub(crate) fn finish(&self, import: &Import, status: Status, error: Option<String>) -> Report {
        let mut state = lock(&self.state);
        let canceled = *import.canceled.borrow();
        let report = match canceled {
            Some(canceled) => Report::new(&import.path, canceled, None),
            None => {
                let report = Report::new(&import.path, status, error.as_deref());
                if let Err(error) = state.book.write(&import.path, status, error) {
                    broken(error);
                }
                report
            }
        };
        if state.running.get(&import.path).is_some_and(|running| running.number == import.number) {
            state.running.remove(&import.path);
        }
        drop(state);
        self.changed.send_replace(());
        report
    }

    /// What SIGTERM does: imports that run end canceled and notify, for at most the configured time. What is started
    /// meanwhile is accepted, and cut off when that time is over.
    pub(crate) async fn stop(&self) {
        self.stopping.cancel();
        self.imports.close();
        if tokio::time::timeout(self.config.shutdown_limit, self.imports.wait()).await.is_err() {
            tracing::warn!("imports were still running at the end of the shutdown");
        }
        self.gone.cancel();
        self.imports.wait().await;
    }

    /// What the loss of power does: imports stop where they are and nobody is told.
    pub(crate) async fn crash(&self) {
        self.gone.cancel();
        self.imports.close();
        self.imports.wait().await;
    }

    fn take_slot(self: &Arc<Self>) -> Option<Slot> {
        let mut state = lock(&self.state);
        if state.slots_in_use >= self.desk.max_concurrent_imports.load(Ordering::SeqCst) {
            return None;
        }
        state.slots_in_use += 1;
        Some(Slot(Arc::clone(self)))
    }

    fn known(&self, state: &State, path: &str) -> Known {
        let on_old_storage = self.old.holds(path);
        match state.book.get(path) {
            Some(entry) => {
                let age = Timestamp::now().duration_since(entry.since);
                let age = Duration::try_from(age).unwrap_or_default();
                Known { status: Some(entry.status), age, on_old_storage }
            }
            None => {
                // On the new storage without ever having been imported: it was pushed there.
                let status = self.new.holds(path).then_some(Status::Native);
                Known { status, age: Duration::MAX, on_old_storage }
            }
        }
    }
}

fn broken(error: io::Error) -> ErrorCode {
    tracing::error!(%error, "the status could not be stored");
    ErrorCode::Unknown
}
