//! Runs the statements of a call, on a connection of its own or on its transaction's, within the call's time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::bind::{Bound, bind};
use crate::error::{ApiError, ErrorCode};
use crate::execute::{Failure, Job, ResultSet, Stage, timed_out};
use crate::pool::Target;
use crate::session::Session;
use crate::shared::{CANCEL_AGAIN, Running, Shared};
use crate::sql::Verb;
use crate::transactions::{End, Slot, roll_back};
use crate::wire::ParameterSets;

/// How long PostgreSQL may take to stop a statement.
const CANCEL_GRACE: Duration = Duration::from_secs(5);

/// What a call wants done.
pub(crate) struct Work {
    pub(crate) job: Job,
    pub(crate) values: Values,
    pub(crate) continue_after_timeout: bool,
}

/// What the statement is run with, once or as often as there are sets.
pub(crate) enum Values {
    Once(Vec<Bound>),
    /// The names of the placeholders, and each set's values for them. Bound one after the other: all of them at
    /// once would be as large as the statement times their number.
    PerSet {
        names: Vec<String>,
        sets: ParameterSets,
        largest: usize,
    },
}

type Results = Result<ResultSet, Failure>;

/// Outside a transaction: every statement commits by itself. Answers the last one's result.
pub(crate) async fn on_its_own(
    shared: &Arc<Shared>,
    target: Target,
    work: Work,
) -> Result<ResultSet, ApiError> {
    let running = shared.running();
    let keep_going = work.continue_after_timeout;
    let task = {
        let (shared, running) = (Arc::clone(shared), running.clone());
        async move { with_a_connection(&shared, target, &work, &running).await }
    };
    within_the_limit(shared, running, keep_going, task).await
}

/// On the transaction's connection. An error aborts it, as PostgreSQL has it, and leaves it to be ended; it is gone
/// after a result that was too large, and with its connection.
pub(crate) async fn in_transaction(
    shared: &Arc<Shared>,
    id: String,
    mut slot: Slot,
    work: Work,
) -> Result<ResultSet, ApiError> {
    let running = shared.running();
    let keep_going = work.continue_after_timeout;
    let task = {
        let (shared, running) = (Arc::clone(shared), running.clone());
        async move {
            let Some(session) = slot.as_mut() else { return Ok(ResultSet::default()) };
            running.set(session.stopper());
            let results = all(session, &work).await;
            match results.as_ref().err().map(|failure| failure.stage) {
                Some(Stage::Oversized) => {
                    shared.transactions.end(&id, End::Failed);
                    roll_back(slot).await;
                }
                Some(Stage::NeverSent | Stage::Broken) => {
                    shared.transactions.end(&id, End::Failed);
                    drop(slot.take());
                }
                Some(Stage::Failed | Stage::Ran) | None => shared.transactions.touch(&id),
            }
            results
        }
    };
    within_the_limit(shared, running, keep_going, task).await
}

async fn within_the_limit(
    shared: &Arc<Shared>,
    running: Running,
    keep_going: bool,
    task: impl Future<Output = Results> + Send + 'static,
) -> Result<ResultSet, ApiError> {
    let mut done = shared.spawn(task);
    match tokio::time::timeout(shared.config.limits.call, &mut done).await {
        Ok(Ok(results)) => results.map_err(|failure| failure.error),
        Ok(Err(_)) => Err(ApiError::new(ErrorCode::InternalServerErrorException, "The server is stopping.")),
        Err(_) => {
            if !keep_going && tokio::time::timeout(CANCEL_GRACE, cancel(&running, done)).await.is_err() {
                tracing::warn!("a cancelled statement goes on");
            }
            Err(timed_out())
        }
    }
}

/// Cancels what a call runs until the call has ended.
async fn cancel(running: &Running, mut done: oneshot::Receiver<Results>) {
    loop {
        if let Some(stopper) = running.stopper() {
            stopper.stop().await;
        }
        if tokio::time::timeout(CANCEL_AGAIN, &mut done).await.is_ok() {
            return;
        }
    }
}

/// A kept connection may have died. Where nothing was executed on it yet, the next is tried.
async fn with_a_connection(shared: &Arc<Shared>, target: Target, work: &Work, running: &Running) -> Results {
    loop {
        let kept = shared.pool.take(&target);
        let was_kept = kept.is_some();
        let mut session = match kept {
            Some(session) if session.answers().await => session,
            Some(_) => continue,
            None => shared.connect(&target).await.map_err(|error| Failure { error, stage: Stage::Failed })?,
        };
        running.set(session.stopper());
        let results = all(&mut session, work).await;
        let stage = results.as_ref().err().map(|failure| failure.stage);
        if was_kept && stage == Some(Stage::NeverSent) {
            continue;
        }
        // What is neither a query nor a change may leave something in the session that no scrubbing finds.
        if matches!(work.job.verb, Verb::Select | Verb::Change) && stage != Some(Stage::Broken) {
            let (owner, target) = (Arc::clone(shared), target.clone());
            drop(shared.spawn(async move { owner.pool.give_back(&target, session).await }));
        }
        return results;
    }
}

/// The statement with each set of values after the other, until one fails.
async fn all(session: &mut Session, work: &Work) -> Results {
    let (names, sets, largest) = match &work.values {
        Values::Once(values) => return work.job.run(session, values).await,
        Values::PerSet { names, sets, largest } => (names, sets, *largest),
    };
    let mut last = ResultSet::default();
    for (have_run, set) in sets.iter().enumerate() {
        let values = set.and_then(|set| bind(names, set, largest));
        let values = values.map_err(|error| Failure { error, stage: Stage::Failed })?;
        last = match work.job.run(session, &values).await {
            Ok(result) => result,
            // Earlier ones have run: the whole cannot be tried again.
            Err(failure) if failure.stage == Stage::NeverSent && have_run > 0 => {
                return Err(Failure { stage: Stage::Broken, ..failure });
            }
            Err(failure) => return Err(failure),
        };
    }
    Ok(last)
}
