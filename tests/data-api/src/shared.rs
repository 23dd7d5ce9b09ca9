//! What all calls of one server share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::config::{AnyArn, ClusterState, Config, Secret};
use crate::dial::Dialer;
use crate::error::{ApiError, ErrorCode};
use crate::faults::Faults;
use crate::journal::Journal;
use crate::pool::{Pool, Target};
use crate::session::{Session, Stopper};
use crate::transactions::Transactions;

/// How long the end of a server waits for what it has cancelled.
const TO_END: Duration = Duration::from_secs(5);
/// PostgreSQL takes no notice of a cancellation that finds a connection between two messages, or still connecting: then
/// it is sent again.
pub(crate) const CANCEL_AGAIN: Duration = Duration::from_millis(50);
/// What the server behind any ARN is called.
pub(crate) const ANY: &str = "any";
/// PostgreSQL has no connection left.
const TOO_MANY_CONNECTIONS: &str = "SQLState: 53300";

pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) pool: Pool,
    pub(crate) transactions: Transactions,
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    dialer: Dialer,
    any: Option<Secret>,
    tasks: Mutex<JoinSet<()>>,
    running: Mutex<Vec<Weak<Mutex<Option<Stopper>>>>>,
}

/// Where the timeout, and the end of the server, find what to cancel.
#[derive(Clone)]
pub(crate) struct Running(Arc<Mutex<Option<Stopper>>>);

impl Running {
    /// The call runs on this connection from now on.
    pub(crate) fn set(&self, stopper: Stopper) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(stopper);
    }

    pub(crate) fn stopper(&self) -> Option<Stopper> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The server behind an ARN that takes calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route<'a> {
    pub(crate) arn: &'a str,
    pub(crate) host: &'a str,
    pub(crate) port: u16,
}

impl Shared {
    pub(crate) fn new(config: Config) -> anyhow::Result<Self> {
        let any = config.any_arn.as_ref().map(|AnyArn { username, password, .. }| Secret {
            arn: ANY.to_owned(),
            username: username.clone(),
            password: password.clone(),
        });
        Ok(Self {
            pool: Pool::default(),
            transactions: Transactions::default(),
            journal: Journal::new(&config.limits),
            faults: Faults::default(),
            dialer: Dialer::new(config.tls_ca.as_deref())?,
            any,
            tasks: Mutex::new(JoinSet::new()),
            running: Mutex::new(Vec::new()),
            config,
        })
    }

    /// Runs something to its end, whoever waits for it or no longer does: a statement goes on when its
    /// caller has hung up, as it does behind the real Data API.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (sender, receiver) = oneshot::channel();
        let mut tasks = self.tasks();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            // Nobody waits any more: the work was done nevertheless.
            let _ = sender.send(work.await);
        });
        receiver
    }

    /// A place where a call says what it runs on.
    pub(crate) fn running(&self) -> Running {
        let place = Arc::new(Mutex::new(None));
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|place| place.strong_count() > 0);
        running.push(Arc::downgrade(&place));
        Running(place)
    }

    /// A new connection. Where PostgreSQL has none left, those that are kept are given up for it.
    pub(crate) async fn connect(&self, target: &Target) -> Result<Session, ApiError> {
        // A row in binary may be longer than its text, which is what the limit counts.
        let largest = 2 * self.config.limits.response_bytes;
        match Session::connect(&self.dialer, target, largest).await {
            Err(error) if error.message.contains(TOO_MANY_CONNECTIONS) && self.pool.clear() => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Session::connect(&self.dialer, target, largest).await
            }
            other => other,
        }
    }

    /// Cancels what runs until it has stopped, and rolls back what is open.
    pub(crate) async fn end(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks());
        let ended = async { while tasks.join_next().await.is_some() {} };
        let cancelled = async {
            loop {
                futures::future::join_all(self.stoppers().iter().map(Stopper::stop)).await;
                tokio::time::sleep(CANCEL_AGAIN).await;
            }
        };
        let stopped = async {
            tokio::select! {
                () = ended => {}
                () = cancelled => {}
            }
        };
        if tokio::time::timeout(TO_END, stopped).await.is_err() {
            tracing::warn!("a call that was cancelled goes on and is given up");
        }
        self.transactions.roll_all_back().await;
    }

    /// What stops each call that runs.
    fn stoppers(&self) -> Vec<Stopper> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter().filter_map(Weak::upgrade).filter_map(|place| Running(place).stopper()).collect()
    }

    /// Ends everything that runs and closes all connections.
    pub(crate) fn shut_down(&self) {
        self.tasks().abort_all();
        self.transactions.clear();
        self.pool.clear();
    }

    /// The cluster of this ARN, if it takes calls.
    pub(crate) fn cluster<'a>(&'a self, arn: &'a str) -> Result<Route<'a>, ApiError> {
        let refused = |code, message: &str| Err(ApiError::new(code, message));
        let Some(cluster) = self.config.clusters.iter().find(|cluster| cluster.arn == arn) else {
            return match &self.config.any_arn {
                Some(any) => Ok(Route { arn, host: &any.host, port: any.port }),
                None => refused(
                    ErrorCode::HttpEndpointNotEnabledException,
                    &format!("HttpEndpoint is not enabled for resource {arn}"),
                ),
            };
        };
        match cluster.state {
            ClusterState::Available => Ok(Route { arn, host: &cluster.host, port: cluster.port }),
            ClusterState::NoWriter => Err(ApiError::no_writer()),
            ClusterState::NoInstance => {
                refused(ErrorCode::DatabaseNotFoundException, "The DB cluster doesn't have a DB instance.")
            }
            ClusterState::HttpEndpointDisabled => refused(
                ErrorCode::HttpEndpointNotEnabledException,
                &format!("HttpEndpoint is not enabled for resource {arn}"),
            ),
            ClusterState::InvalidState => {
                refused(ErrorCode::InvalidResourceStateException, "The resource is in an invalid state.")
            }
        }
    }

    /// Each server that takes calls by name, and how its health is asked for: by the first secret there is.
    pub(crate) fn servers(&self) -> Vec<(String, Target)> {
        let Some(secret) = self.config.secrets.first().or(self.any.as_ref()) else { return Vec::new() };
        let target = |secret: &Secret, host: &str, port| Target {
            host: host.to_owned(),
            port,
            user: secret.username.clone(),
            password: secret.password.clone(),
            database: self.config.default_database.as_ref().unwrap_or(&secret.username).clone(),
        };
        let available = self.config.clusters.iter().filter(|c| c.state == ClusterState::Available);
        let mut servers: Vec<_> = available
            .map(|cluster| (cluster.arn.clone(), target(secret, &cluster.host, cluster.port)))
            .collect();
        if let (Some(any), Some(secret)) = (&self.config.any_arn, &self.any) {
            servers.push((ANY.to_owned(), target(secret, &any.host, any.port)));
        }
        servers
    }

    /// The secret of this ARN or name. The six characters that Secrets Manager adds may be left out.
    pub(crate) fn secret(&self, arn: &str) -> Result<&Secret, ApiError> {
        let given_name = arn.split_once(":secret:").map_or(arn, |(_, name)| name);
        let is_meant = |secret: &&Secret| {
            let name = secret.arn.split_once(":secret:").map_or("", |(_, name)| name);
            let bare =
                name.rsplit_once('-').filter(|(_, added)| added.len() == 6).map_or("", |(bare, _)| bare);
            let same_place = !arn.contains(":secret:") || secret.arn.starts_with(arn);
            secret.arn == arn
                || same_place && !given_name.is_empty() && (given_name == name || given_name == bare)
        };
        let found = self.config.secrets.iter().find(is_meant).or(self.any.as_ref());
        found.ok_or_else(|| {
            let message =
                "There was a problem with the Secrets Manager secret: the secret provided wasn't found.";
            ApiError::new(ErrorCode::SecretsErrorException, message)
        })
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
