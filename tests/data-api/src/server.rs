//! The listener and its life.

use std::fmt;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::config::Config;
use crate::error::{ApiError, ErrorCode};
use crate::faults::Fault;
use crate::journal::Call;
use crate::service::handle;
use crate::shared::{ANY, Shared};

/// How often open transactions are looked at, at the most and at the least.
const EXPIRY_ROUND: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// How long a PostgreSQL server may take to start.
const TO_START: Duration = Duration::from_secs(30);
/// How long answers may take on their way when the server ends.
const TO_ANSWER: Duration = Duration::from_secs(5);

/// A running server. Dropping it ends it.
pub struct DataApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    ending: watch::Sender<bool>,
    listener: JoinHandle<()>,
    expiry: JoinHandle<()>,
}

impl DataApi {
    /// Listens and serves from now on. The clusters are not contacted before a call needs them.
    ///
    /// # Errors
    /// The address cannot be listened on, or the file of authorities cannot be used.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let listen = config.listen;
        let listener =
            TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        Self::start_on(listener, config)
    }

    /// The same on a listener that is there already; the configuration's address is not used.
    ///
    /// # Errors
    /// The listener has no address, or the file of authorities cannot be used.
    pub fn start_on(listener: TcpListener, config: Config) -> anyhow::Result<Self> {
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(config)?);
        let (ending, end) = watch::channel(false);
        Ok(Self {
            address,
            ending,
            listener: tokio::spawn(serve(listener, Arc::clone(&shared), end)),
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

    /// Runs SQL, several statements if there are, on the server behind any ARN or else behind the first cluster. One
    /// that does not listen yet, or is still starting, is waited for.
    ///
    /// # Errors
    /// There is no server or no secret, it is not there after 30 seconds, or it refuses a statement.
    pub async fn run_script(&self, sql: &str) -> anyhow::Result<()> {
        let servers = self.shared.servers();
        let any = servers.iter().find(|(name, _)| name == ANY);
        let (_, target) = any.or(servers.first()).context("no server and secret to run SQL with")?;
        let began = tokio::time::Instant::now();
        let session = loop {
            match self.shared.connect(target).await {
                Err(error)
                    if error.code == ErrorCode::DatabaseUnavailableException
                        && began.elapsed() < TO_START =>
                {
                    tokio::time::sleep(EXPIRY_ROUND.1 / 5).await;
                }
                other => break other?,
            }
        };
        session.client.batch_execute(sql).await.map_err(|error| ApiError::from_postgres(&error))?;
        Ok(())
    }

    /// Ends the server: no port, no connection, no transaction stays, and no statement goes on. Those that run
    /// are cancelled, and their callers are told what came of them.
    pub async fn stop(mut self) {
        self.ending.send_replace(true);
        self.shared.end().await;
        let _ = tokio::time::timeout(TO_ANSWER, &mut self.listener).await;
        self.end();
        // Aborted tasks end with an error that says so.
        if !self.listener.is_finished() {
            let _ = (&mut self.listener).await;
        }
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

/// Accepts connections until the end, and then waits for those that are there.
async fn serve(listener: TcpListener, shared: Arc<Shared>, mut end: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = ended(&mut end) => break,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, Arc::clone(&shared), end.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                // Most likely there are too many open files, and there still are.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, mut end: watch::Receiver<bool>) {
    // Answers are small: without this they wait for an acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let header = shared.config.limits.header;
    let service = service_fn(move |request| handle(Arc::clone(&shared), request));
    let mut served = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(header)
            .serve_connection(TokioIo::new(stream), service)
    );
    let result = tokio::select! {
        result = served.as_mut() => result,
        () = ended(&mut end) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a client's connection ended");
    }
}

/// Waits until the server ends. One that was dropped has ended.
async fn ended(end: &mut watch::Receiver<bool>) {
    let _ = end.wait_for(|ending| *ending).await;
}

async fn expire(shared: Arc<Shared>) {
    let limits = &shared.config.limits;
    let shorter = limits.transaction_idle.min(limits.transaction_life);
    let round = (shorter / 4).clamp(EXPIRY_ROUND.0, EXPIRY_ROUND.1);
    loop {
        tokio::time::sleep(round).await;
        shared.transactions.expire(limits.transaction_idle, limits.transaction_life).await;
        shared.pool.expire();
    }
}
