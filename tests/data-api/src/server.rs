//! The listener and its life.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::config::Config;
use crate::faults::Fault;
use crate::journal::Call;
use crate::service::handle;
use crate::shared::Shared;

/// How often open transactions are looked at, at the most and at the least.
const EXPIRY_ROUND: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// A running server. Dropping it ends it.
pub struct DataApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: JoinHandle<()>,
    expiry: JoinHandle<()>,
}

impl DataApi {
    /// Listens and serves from now on. The clusters are not contacted before a call needs them.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let listen = config.listen;
        let listener =
            TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        Self::start_on(listener, config)
    }

    /// The same on a listener that is there already; the configuration's address is not used.
    ///
    /// # Errors
    /// The listener has no address.
    pub fn start_on(listener: TcpListener, config: Config) -> anyhow::Result<Self> {
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(config));
        Ok(Self {
            address,
            listener: tokio::spawn(serve(listener, Arc::clone(&shared))),
            expiry: tokio::spawn(expire(Arc::clone(&shared))),
            shared,
        })
    }

    /// The address for `AWS_ENDPOINT_URL_RDS_DATA`, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All calls so far, oldest first.
    pub fn journal(&self) -> Vec<Call> {
        self.shared.journal.calls()
    }

    /// Forgets the calls so far.
    pub fn clear_journal(&self) {
        self.shared.journal.clear();
    }

    /// From now on, calls that fit meet this fault.
    pub fn inject(&self, fault: Fault) {
        self.shared.faults.add(fault);
    }

    /// No fault any more.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// How many transactions are open.
    pub fn open_transactions(&self) -> usize {
        self.shared.transactions.count()
    }

    /// Ends the server: no port, no connection, no transaction stays.
    pub async fn stop(mut self) {
        self.end();
        // Aborted tasks end with an error that says so.
        let _ = (&mut self.listener).await;
        let _ = (&mut self.expiry).await;
    }

    fn end(&self) {
        self.listener.abort();
        self.expiry.abort();
        self.shared.shut_down();
    }
}

impl fmt::Debug for DataApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataApi").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl Drop for DataApi {
    fn drop(&mut self) {
        self.end();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                continue;
            }
        };
        // Answers are small: without this they wait for an acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(move |request| handle(Arc::clone(&shared), request));
            if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!(%error, "a client's connection ended");
            }
        });
    }
}

async fn expire(shared: Arc<Shared>) {
    let limits = &shared.config.limits;
    let shorter = limits.transaction_idle.min(limits.transaction_life);
    let round = (shorter / 4).clamp(EXPIRY_ROUND.0, EXPIRY_ROUND.1);
    loop {
        tokio::time::sleep(round).await;
        shared.transactions.expire(limits.transaction_idle, limits.transaction_life).await;
    }
}
