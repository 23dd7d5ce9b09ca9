//! The registry as a whole: started, asked, restarted, stopped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use crate::book::Entry;
use crate::config::Config;
use crate::engine::{Desk, Engine};
use crate::http::App;
use crate::journal::Journal;
use crate::rules::Rules;
use crate::server::Server;
use crate::status::{Report, Status};
use crate::storage::Storage;
use crate::token::Verifier;

/// A running registry. Dropping it ends it at once; [`Registry::stop`] ends it as SIGTERM does.
#[derive(Debug)]
pub struct Registry {
    inner: Arc<Inner>,
}

/// How long calls that are being answered at the end may take.
const DRAIN: Duration = Duration::from_secs(1);

/// How a registry ends before it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Restart {
    /// As SIGTERM: running imports are canceled (detail `forced cancelation`), stored, and notified. Until that is
    /// done, for at most [`Config::shutdown_limit`], it goes on listening and accepting; what is started then is
    /// cut off without a word, and its status stays in progress.
    Graceful,
    /// As the loss of power: running imports stop, nobody is told, and their status stays in progress.
    Crash,
}

/// What stays the same over restarts.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) verifier: Verifier,
    pub(crate) desk: Arc<Desk>,
    address: SocketAddr,
    life: CancellationToken,
    /// The newest run; while the registry is down, the last one.
    engine: watch::Sender<Arc<Engine>>,
    server: Mutex<Option<Server>>,
}

impl Registry {
    /// Starts a registry. It listens when this returns.
    ///
    /// # Errors
    /// When the address is taken, the public key is none, or the new storage cannot be written.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let verifier = Verifier::new(&config.token).context("the token's public key")?;
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("the registry cannot listen at {}", config.listen))?;
        let desk = Arc::new(Desk::default());
        desk.max_concurrent_imports.store(config.max_concurrent_imports, Ordering::SeqCst);
        desk.migration_mode.store(config.migration_mode, Ordering::SeqCst);
        let life = CancellationToken::new();
        let engine = Engine::open(&config, Arc::clone(&desk), life.child_token())?;
        let inner = Arc::new(Inner {
            verifier,
            desk,
            address: listener.local_addr()?,
            config,
            life,
            engine: watch::channel(Arc::new(engine)).0,
            server: Mutex::new(None),
        });
        *inner.server.lock().await = Some(inner.serve(listener));
        Ok(Self { inner })
    }

    /// Where it listens, e.g. `http://127.0.0.1:5000`, without a slash at the end. Restarts do not change it.
    pub fn url(&self) -> String {
        format!("http://{}", self.inner.address)
    }

    /// The faults in force. They outlive restarts.
    pub fn rules(&self) -> &Rules {
        &self.inner.desk.rules
    }

    /// What was received and sent. It outlives restarts.
    pub fn journal(&self) -> &Journal {
        &self.inner.desk.journal
    }

    /// The storage that is migrated from.
    pub fn old_storage(&self) -> Storage {
        Storage::new(&self.inner.config.old_storage)
    }

    /// The storage that is migrated to.
    pub fn new_storage(&self) -> Storage {
        Storage::new(&self.inner.config.new_storage)
    }

    /// Lets that many imports run at once from now on; with 0 none. Those that run are not touched.
    pub fn set_max_concurrent_imports(&self, maximum: usize) {
        self.inner.desk.max_concurrent_imports.store(maximum, Ordering::SeqCst);
    }

    /// Switches migration mode on or off, see [`Config::migration_mode`].
    pub fn set_migration_mode(&self, on: bool) {
        self.inner.desk.migration_mode.store(on, Ordering::SeqCst);
    }

    /// What a status call would say about a container repository; `None` where it answers 404. While the
    /// registry is down, what it knew last.
    pub fn report(&self, path: &str) -> Option<Report> {
        self.inner.engine().report(path)
    }

    /// Every status that is stored.
    pub fn entries(&self) -> Vec<Entry> {
        self.inner.engine().entries()
    }

    /// How many imports hold a slot.
    pub fn slots_in_use(&self) -> usize {
        self.inner.engine().slots_in_use()
    }

    /// Waits until the container repository has this status, over restarts too. False when `at_most` has passed
    /// without that.
    #[must_use]
    pub async fn wait_for_status(&self, path: &str, status: Status, at_most: Duration) -> bool {
        let reached = |engine: &Engine| engine.report(path).is_some_and(|report| report.status == status);
        self.wait_until(at_most, reached).await
    }

    /// Waits until no import holds a slot. False when `at_most` has passed without that.
    #[must_use]
    pub async fn wait_until_idle(&self, at_most: Duration) -> bool {
        self.wait_until(at_most, |engine| engine.slots_in_use() == 0).await
    }

    /// Ends the registry and starts it again on the same address and storages. Meanwhile, for at least `down`,
    /// nobody listens.
    pub async fn restart(&self, how: Restart, down: Duration) -> anyhow::Result<()> {
        self.inner.restart(how, down).await
    }

    /// Ends the registry as SIGTERM does, and waits until nothing of it is left.
    pub async fn stop(self) {
        self.inner.end(&mut *self.inner.server.lock().await, Restart::Graceful).await;
    }

    async fn wait_until(&self, at_most: Duration, holds: impl Fn(&Engine) -> bool) -> bool {
        let mut newest = self.inner.engine.subscribe();
        let waiting = async {
            loop {
                let engine = Arc::clone(&newest.borrow_and_update());
                tokio::select! {
                    () = engine.wait_until(&holds) => return,
                    changed = newest.changed() => if changed.is_err() { return },
                }
            }
        };
        tokio::time::timeout(at_most, waiting).await.is_ok()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.inner.life.cancel();
    }
}

impl Inner {
    fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.engine.borrow())
    }

    fn serve(self: &Arc<Self>, listener: TcpListener) -> Server {
        let app = App { engine: self.engine(), registry: Arc::clone(self) };
        Server::start(listener, app, self.life.child_token())
    }

    pub(crate) async fn restart(self: &Arc<Self>, how: Restart, down: Duration) -> anyhow::Result<()> {
        let mut server = self.server.lock().await;
        self.end(&mut server, how).await;
        tokio::time::sleep(down).await;
        let listener = TcpListener::bind(self.address)
            .await
            .with_context(|| format!("the registry cannot listen again at {}", self.address))?;
        let engine = Engine::open(&self.config, Arc::clone(&self.desk), self.life.child_token())?;
        self.engine.send_replace(Arc::new(engine));
        *server = Some(self.serve(listener));
        Ok(())
    }

    async fn end(&self, server: &mut Option<Server>, how: Restart) {
        let Some(server) = server.take() else { return };
        let engine = self.engine();
        match how {
            Restart::Graceful => {
                engine.stop().await;
                server.drain(DRAIN).await;
            }
            Restart::Crash => {
                server.cut();
                engine.crash().await;
            }
        }
        server.end().await;
    }
}
