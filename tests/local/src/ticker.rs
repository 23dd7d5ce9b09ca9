//! The schedules.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::function::Function;
use crate::functions::FunctionSet;

/// The functions that a schedule invokes.
const SCHEDULED: [Function; 3] =
    [Function::EnqueueMigrations, Function::GuardMigrations, Function::ObserveMigrations];

/// Invokes those of a set's functions that have a schedule again and again, each for itself. Dropping it ends
/// that.
#[derive(Debug)]
pub struct Ticker(Vec<JoinHandle<()>>);

impl Ticker {
    /// Begins at once, with those of them that the set has.
    pub fn start(functions: &Arc<FunctionSet>, period: Duration) -> Self {
        let there = SCHEDULED.into_iter().filter(|function| !functions.pids(*function).is_empty());
        Self(there.map(|function| tokio::spawn(tick(Arc::clone(functions), function, period))).collect())
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

async fn tick(functions: Arc<FunctionSet>, function: Function, period: Duration) {
    let mut rounds = tokio::time::interval(period);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        match functions.invoke_on_schedule(function).await {
            Ok(answer) => tracing::debug!(%answer, function = function.name(), "on schedule"),
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    function = function.name(),
                    "a scheduled run failed"
                );
            }
        }
    }
}
