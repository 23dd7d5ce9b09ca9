//! A registry that speaks the distribution API alone, as one of the registries that can be installed does: a source to
//! read from and a target to write to, with a journal of every request and faults on request.
//!
//! Start a [`Distribution`], give it [`Fault`]s to misbehave by, and look at its [`Traffic`].

mod access;
mod answer;
mod blobs;
mod config;
mod control;
mod faults;
mod lists;
mod made_up;
mod manifests;
mod route;
mod shape;
mod site;
mod store;
mod traffic;
mod uploads;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::{
    AbsentRepository, Access, DistributionConfig, ImmutableTags, Links, Personality, Quota, Settings,
};
pub use faults::{Chance, Fault, FaultEffect, FaultId, Faults, HoldPoint};
pub use made_up::MadeUp;
pub use store::OpenUpload;
pub use traffic::{Credentials, Kind, Record, Traffic};

use self::site::{Door, Failure, Site};
use self::store::Store;
use crate::digest::Digest;
use crate::lock::lock;
use crate::server::Server;
use crate::storage::{Storage, StorageError};

/// How long requests that are being answered at the end may take.
const DRAIN: Duration = Duration::from_secs(1);

/// A running registry. Dropping it ends it at once.
#[derive(Debug)]
pub struct Distribution {
    site: Arc<Site>,
    address: SocketAddr,
    files_address: SocketAddr,
    life: CancellationToken,
    servers: tokio::sync::Mutex<Vec<Server>>,
}

impl Distribution {
    /// Starts a registry. It listens when this returns.
    ///
    /// # Errors
    /// When an address is taken or the storage cannot be written.
    pub async fn start(config: DistributionConfig) -> anyhow::Result<Self> {
        let listener = listen(config.listen).await?;
        let files = listen(config.listen_files).await?;
        let (address, files_address) = (listener.local_addr()?, files.local_addr()?);
        let storage = Storage::new(&config.storage);
        let store =
            Store::open(storage).with_context(|| format!("the storage {}", config.storage.display()))?;
        let site = Arc::new(Site {
            settings: Mutex::new(config.settings.clone()),
            store,
            faults: Arc::default(),
            traffic: Arc::default(),
            tokens: access::Tokens::default(),
            files_url: format!("http://{files_address}"),
            secret: uuid::Uuid::new_v4().to_string(),
            config,
        });
        let registry = Self {
            site,
            address,
            files_address,
            life: CancellationToken::new(),
            servers: tokio::sync::Mutex::default(),
        };
        registry.serve(listener, files).await;
        Ok(registry)
    }

    /// Where it listens, e.g. `http://127.0.0.1:5000`, without a slash at the end. A restart does not change it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address that blobs are redirected to, without a slash at the end.
    pub fn files_url(&self) -> String {
        self.site.files_url.clone()
    }

    /// Its storage: what lies there is served, whoever wrote it.
    pub fn storage(&self) -> Storage {
        self.site.store.storage.clone()
    }

    /// The faults in force. They outlive a restart.
    pub fn faults(&self) -> &Faults {
        &self.site.faults
    }

    /// Every request so far. It outlives a restart.
    pub fn traffic(&self) -> &Traffic {
        &self.site.traffic
    }

    /// What can be changed while it runs.
    pub fn settings(&self) -> Settings {
        self.site.settings()
    }

    /// Changes that, for requests from now on.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut lock(&self.site.settings));
    }

    /// The uploads that were begun and neither ended nor canceled. They outlive a restart.
    pub fn open_uploads(&self) -> Vec<OpenUpload> {
        self.site.store.open_uploads()
    }

    /// Adds a layer whose bytes are made up when they are read. Its digest is computed once for each storage: about a
    /// second for each 500 MB.
    pub fn add_made_up_layer(&self, path: &str, made_up: MadeUp) -> Result<Digest, StorageError> {
        self.site.store.add_made_up(path, made_up)
    }

    /// Lets a blob that is hashed and dropped be read all the same: its bytes are made up.
    pub fn know_made_up(&self, made_up: MadeUp) -> Result<Digest, StorageError> {
        self.site.store.know_made_up(made_up)
    }

    /// Stores any bytes as a manifest: of schema 1, with foreign layers, of a type that is not known, one that names
    /// what is not there, or none at all.
    pub fn put_any_manifest(
        &self,
        path: &str,
        tag: Option<&str>,
        content: &[u8],
    ) -> Result<Digest, StorageError> {
        let storage = &self.site.store.storage;
        let digest = storage.put_any_manifest(path, content)?;
        if let Some(tag) = tag {
            storage.put_tag(path, tag, &digest)?;
        }
        Ok(digest)
    }

    /// Ends all connections in the middle of whatever they are in, and listens again at the same address.
    pub async fn restart(&self) -> anyhow::Result<()> {
        for server in self.servers.lock().await.drain(..) {
            server.cut();
            server.end().await;
        }
        let (listener, files) = (listen(self.address).await?, listen(self.files_address).await?);
        self.serve(listener, files).await;
        Ok(())
    }

    /// Ends the registry when the requests that it is answering are, and waits until nothing of it is left.
    pub async fn stop(self) {
        for server in self.servers.lock().await.drain(..) {
            server.drain(DRAIN).await;
            server.end().await;
        }
    }

    async fn serve(&self, listener: TcpListener, files: TcpListener) {
        let mut servers = self.servers.lock().await;
        for (listener, files) in [(listener, false), (files, true)] {
            let door = Door { site: Arc::clone(&self.site), files };
            servers.push(Server::start(listener, door, self.life.child_token()));
        }
    }
}

impl Drop for Distribution {
    fn drop(&mut self) {
        self.life.cancel();
    }
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("the registry cannot listen at {address}"))
}
