use std::{fmt::Display, future::Future, sync::Arc};

use lambda_http::{
    Error,
    lambda_runtime::{Diagnostic, LambdaEvent, LambdaInvocation, Runtime},
    service_fn,
    tower::Service,
};
use serde::Serialize;
use serde_json::Value;

use super::{
    Budget, Budgets,
    after_response::Deferred,
    layer::{AfterResponse, current_budget},
    rounds::{Rounds, repeat},
    supervise::{self, Completion},
};

/// Why a scheduled run failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The handler says so.
    #[error("the run failed: {0}")]
    Failed(String),
    /// It panicked.
    #[error("the run panicked: {0}")]
    Panicked(String),
    /// It was not done at its deadline.
    #[error("the run did not finish before its deadline")]
    Overran,
}

impl From<ScheduleError> for Diagnostic {
    fn from(error: ScheduleError) -> Self {
        let kind = match &error {
            ScheduleError::Failed(_) => "Failed",
            ScheduleError::Panicked(_) => "Panicked",
            ScheduleError::Overran => "Overran",
        };
        Self { error_type: kind.to_owned(), error_message: error.to_string() }
    }
}

/// Serves a schedule's events with `handler` until the process ends, within [`Budgets::SCHEDULE`]. What it
/// returns is the invocation's answer, a summary of the run.
///
/// A run that fails, panics or is not done at its deadline is logged and reported as the function's error:
/// here, other than for HTTP, that is what the schedule's retry and the error metric look at. The next event
/// is served.
///
/// # Errors
/// When the Runtime API can no longer be spoken to.
pub async fn run_schedule<H, F, T, E>(handler: H) -> Result<(), Error>
where
    H: Fn(Value, Budget) -> F + Send + Sync + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Serialize + Send + 'static,
    E: Display + Send + 'static,
{
    run_schedule_within(Budgets::SCHEDULE, handler).await
}

/// [`run_schedule`] within other budgets.
///
/// # Errors
/// When the Runtime API can no longer be spoken to.
pub async fn run_schedule_within<H, F, T, E>(budgets: Budgets, handler: H) -> Result<(), Error>
where
    H: Fn(Value, Budget) -> F + Send + Sync + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Serialize + Send + 'static,
    E: Display + Send + 'static,
{
    runtime(budgets, handler).run().await
}

/// Serves a schedule's events, each with as many rounds as `rounds` says, within [`Budgets::ROUNDS`]. What the last of
/// them returns is the invocation's answer. The run ends after a round that leaves nothing to do, by `is_idle`.
///
/// # Errors
/// When the Runtime API can no longer be spoken to.
pub async fn run_rounds<H, F, T, E, I, G>(rounds: Rounds, round: H, is_idle: I) -> Result<(), Error>
where
    H: Fn(Budget) -> F + Send + Sync + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Serialize + Send + 'static,
    E: Display + Send + 'static,
    I: Fn(Budget) -> G + Send + Sync + 'static,
    G: Future<Output = Result<bool, E>> + Send + 'static,
{
    let (round, is_idle) = (Arc::new(round), Arc::new(is_idle));
    let run = move |_event, budget| {
        let (round, is_idle) = (Arc::clone(&round), Arc::clone(&is_idle));
        async move { repeat(rounds, budget, &*round, &*is_idle).await }
    };
    run_schedule_within(Budgets::ROUNDS, run).await
}

pub(super) fn runtime<H, F, T, E>(
    budgets: Budgets,
    handler: H,
) -> Runtime<impl Service<LambdaInvocation, Response = (), Error = Error>>
where
    H: Fn(Value, Budget) -> F + Send + Sync + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Serialize + Send + 'static,
    E: Display + Send + 'static,
{
    let handler = Arc::new(handler);
    let service = service_fn(move |event: LambdaEvent<Value>| {
        let handler = Arc::clone(&handler);
        async move {
            let budget = current_budget(budgets);
            let deferred = Deferred::current();
            let work = async move { deferred.collect(handler(event.payload, budget)).await };
            let outcome = match supervise::run(work, budget.deadline()).await {
                Completion::Done(Ok(summary)) => Ok(summary),
                Completion::Done(Err(error)) => Err(ScheduleError::Failed(error.to_string())),
                Completion::Panicked(panic) => Err(ScheduleError::Panicked(panic)),
                Completion::Overran => Err(ScheduleError::Overran),
            };
            outcome.inspect_err(|error| tracing::error!(%error, "a scheduled run failed"))
        }
    });
    Runtime::new(service).layer(AfterResponse::new(budgets))
}
