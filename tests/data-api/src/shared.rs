//! What all calls of one server share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::config::{Cluster, ClusterState, Config, Secret};
use crate::error::{ApiError, ErrorCode};
use crate::faults::Faults;
use crate::journal::Journal;
use crate::pool::Pool;
use crate::transactions::Transactions;

pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) pool: Pool,
    pub(crate) transactions: Transactions,
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    tasks: Mutex<JoinSet<()>>,
}

impl Shared {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            pool: Pool::default(),
            transactions: Transactions::default(),
            journal: Journal::default(),
            faults: Faults::default(),
            tasks: Mutex::new(JoinSet::new()),
        }
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

    /// Ends everything that runs and closes all connections.
    pub(crate) fn shut_down(&self) {
        self.tasks().abort_all();
        self.transactions.clear();
        self.pool.clear();
    }

    /// The cluster of this ARN, if it takes calls.
    pub(crate) fn cluster(&self, arn: &str) -> Result<&Cluster, ApiError> {
        let Some(cluster) = self.config.clusters.iter().find(|cluster| cluster.arn == arn) else {
            return Err(ApiError::new(
                ErrorCode::DatabaseNotFoundException,
                format!("DB cluster {arn} is not found."),
            ));
        };
        let refused = |code, message: &str| Err(ApiError::new(code, message));
        match cluster.state {
            ClusterState::Available => Ok(cluster),
            ClusterState::NoWriter => refused(
                ErrorCode::DatabaseUnavailableException,
                "The writer instance in the DB cluster isn't available.",
            ),
            ClusterState::NoInstance => {
                refused(ErrorCode::DatabaseNotFoundException, "The DB cluster doesn't have a DB instance.")
            }
            ClusterState::HttpEndpointDisabled => refused(
                ErrorCode::HttpEndpointNotEnabledException,
                "The HTTP endpoint for using RDS Data API isn't enabled for the DB cluster.",
            ),
            ClusterState::InvalidState => {
                refused(ErrorCode::InvalidResourceStateException, "The resource is in an invalid state.")
            }
        }
    }

    /// The secret of this ARN or name.
    pub(crate) fn secret(&self, arn: &str) -> Result<&Secret, ApiError> {
        let named = |secret: &&Secret| {
            secret.arn == arn || secret.arn.split_once(":secret:").is_some_and(|(_, name)| name == arn)
        };
        self.config.secrets.iter().find(named).ok_or_else(|| {
            let message =
                "There was a problem with the Secrets Manager secret: the secret provided wasn't found.";
            ApiError::new(ErrorCode::SecretsErrorException, message)
        })
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
