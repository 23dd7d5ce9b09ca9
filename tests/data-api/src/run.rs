//! Runs the statements of a call, on a connection of its own or on its transaction's, within the call's time.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_postgres::{CancelToken, Client};

use crate::config::Limits;
use crate::error::{ApiError, ErrorCode};
use crate::execute::{Failure, Job, ResultSet, Stage, cancel, timed_out};
use crate::pool::{Target, connect};
use crate::shared::Shared;
use crate::sql::Verb;
use crate::transactions::{End, Slot, roll_back};

/// What a call wants done.
pub(crate) struct Work {
    pub(crate) jobs: Vec<Job>,
    pub(crate) verb: Verb,
    pub(crate) continue_after_timeout: bool,
}

type Results = Result<Vec<ResultSet>, Failure>;

/// Where the timeout finds what to cancel.
#[derive(Clone, Default)]
struct Running(Arc<Mutex<Option<CancelToken>>>);

impl Running {
    fn set(&self, client: &Client) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(client.cancel_token());
    }

    fn token(&self) -> Option<CancelToken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Outside a transaction: every statement commits by itself.
pub(crate) async fn on_its_own(
    shared: &Arc<Shared>,
    target: Target,
    work: Work,
) -> Result<Vec<ResultSet>, ApiError> {
    let running = Running::default();
    let keep_going = work.continue_after_timeout;
    let task = {
        let (shared, running) = (Arc::clone(shared), running.clone());
        async move { with_a_connection(&shared, target, &work, &running).await }
    };
    within_the_limit(shared, running, keep_going, task).await
}

/// On the transaction's connection. An error rolls the transaction back and ends it.
pub(crate) async fn in_transaction(
    shared: &Arc<Shared>,
    id: String,
    slot: Slot,
    work: Work,
) -> Result<Vec<ResultSet>, ApiError> {
    let running = Running::default();
    let task = {
        let (shared, running) = (Arc::clone(shared), running.clone());
        async move {
            let Some(client) = slot.as_ref() else { return Ok(Vec::new()) };
            running.set(client);
            let results = all(client, &work.jobs, &shared.config.limits).await;
            match &results {
                Err(Failure { stage: Stage::NeverSent | Stage::Failed, .. }) => {
                    shared.transactions.end(&id, End::Failed);
                    roll_back(slot).await;
                }
                Err(Failure { stage: Stage::Ran, .. }) | Ok(_) => shared.transactions.touch(&id),
            }
            results
        }
    };
    within_the_limit(shared, running, false, task).await
}

async fn within_the_limit(
    shared: &Arc<Shared>,
    running: Running,
    keep_going: bool,
    task: impl Future<Output = Results> + Send + 'static,
) -> Result<Vec<ResultSet>, ApiError> {
    let mut done = shared.spawn(task);
    match tokio::time::timeout(shared.config.limits.call, &mut done).await {
        Ok(Ok(results)) => results.map_err(|failure| failure.error),
        Ok(Err(_)) => Err(ApiError::new(ErrorCode::InternalServerErrorException, "The server is stopping.")),
        Err(_) => {
            if let Some(token) = running.token().filter(|_| !keep_going) {
                cancel(token, done).await;
            }
            Err(timed_out())
        }
    }
}

/// A kept connection may have died. Where nothing was executed on it yet, the next is tried.
async fn with_a_connection(shared: &Arc<Shared>, target: Target, work: &Work, running: &Running) -> Results {
    loop {
        let kept = shared.pool.take(&target);
        let was_kept = kept.is_some();
        let client = match kept {
            Some(client) => client,
            None => connect(&target).await.map_err(|error| Failure { error, stage: Stage::Failed })?,
        };
        running.set(&client);
        let results = all(&client, &work.jobs, &shared.config.limits).await;
        if was_kept && matches!(results, Err(Failure { stage: Stage::NeverSent, .. })) {
            continue;
        }
        // What is neither a query nor a change may leave something in the session that no scrubbing finds.
        if matches!(work.verb, Verb::Select | Verb::Change) {
            let (owner, target) = (Arc::clone(shared), target.clone());
            drop(shared.spawn(async move { owner.pool.give_back(&target, client).await }));
        }
        return results;
    }
}

/// One statement after the other, until one fails.
async fn all(client: &Client, jobs: &[Job], limits: &Limits) -> Results {
    let mut results = Vec::with_capacity(jobs.len());
    for job in jobs {
        match job.run(client, limits).await {
            Ok(result) => results.push(result),
            // Earlier ones have run: the whole cannot be tried again.
            Err(failure) if failure.stage == Stage::NeverSent && !results.is_empty() => {
                return Err(Failure { stage: Stage::Failed, ..failure });
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(results)
}
