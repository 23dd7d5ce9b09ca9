//! The schedule of enqueue-migrations.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::functions::FunctionSet;

/// Invokes enqueue-migrations again and again. Dropping it ends that.
#[derive(Debug)]
pub struct Ticker(JoinHandle<()>);

impl Ticker {
    pub(crate) fn start(functions: Arc<FunctionSet>, period: Duration) -> Self {
        Self(tokio::spawn(async move {
            let mut rounds = tokio::time::interval(period);
            rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                rounds.tick().await;
                match functions.tick().await {
                    Ok(answer) => tracing::debug!(%answer, "enqueue-migrations"),
                    Err(error) => tracing::warn!(error = format!("{error:#}"), "enqueue-migrations failed"),
                }
            }
        }))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.abort();
    }
}
