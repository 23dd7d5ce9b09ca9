//! Runs a CloudFormation custom resource: whatever happens to the work, the stack is answered.

mod event;
mod response;

use std::{fmt::Display, future::Future, sync::Arc, time::Duration};

use lambda_http::{
    Error,
    lambda_runtime::{Diagnostic, LambdaEvent, LambdaInvocation, Runtime},
    service_fn,
    tower::Service,
};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    Budgets,
    layer::{AfterResponse, current_budget},
    supervise::{self, Completion},
};
use event::Receipt;
pub use event::{RequestType, ResourceRequest};
use response::deliver;

/// What is kept of an invocation's time for answering the stack.
const TO_ANSWER: Duration = Duration::from_secs(10);

/// Why an invocation of a custom resource's function is an error of the function.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    /// The stack could not be answered: Lambda invokes the function again.
    #[error("the stack was not answered: {0}")]
    Unanswered(String),
    /// The work failed, and there was no stack to answer: somebody invoked the function by hand.
    #[error("{0}")]
    Failed(String),
}

impl From<ResourceError> for Diagnostic {
    fn from(error: ResourceError) -> Self {
        let kind = match &error {
            ResourceError::Unanswered(_) => "Unanswered",
            ResourceError::Failed(_) => "Failed",
        };
        Self { error_type: kind.to_owned(), error_message: error.to_string() }
    }
}

/// Serves a custom resource's events with `handler` until the process ends. `id` is the resource's physical id for
/// ever.
///
/// `handler` is given when it must be done: before the end of the invocation, so that there is time to tell the
/// stack. Failures, panics, overruns and events that cannot be read are answered too, with a reason that the stack shows
/// among its events: a failure's own text, which so must hold no secret. A stack that gets no answer waits for an hour.
///
/// An event that names no stack is somebody's own invocation. It is answered to the caller.
///
/// # Errors
/// When the Runtime API can no longer be spoken to.
pub async fn run_custom_resource<H, F, T, E>(
    budgets: Budgets,
    id: &'static str,
    handler: H,
) -> Result<(), Error>
where
    H: Fn(ResourceRequest, Instant) -> F + Send + Sync + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Serialize + Send + 'static,
    E: Display + Send + 'static,
{
    runtime(budgets, id, handler).run().await
}

pub(super) fn runtime<H, F, T, E>(
    budgets: Budgets,
    id: &'static str,
    handler: H,
) -> Runtime<impl Service<LambdaInvocation, Response = (), Error = Error>>
where
    H: Fn(ResourceRequest, Instant) -> F + Send + Sync + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Serialize + Send + 'static,
    E: Display + Send + 'static,
{
    let handler = Arc::new(handler);
    let service = service_fn(move |event: LambdaEvent<Value>| {
        let handler = Arc::clone(&handler);
        async move {
            let budget = current_budget(budgets);
            let until = budget.deadline() - TO_ANSWER.min(budget.remaining() / 2);
            let result = work(&*handler, &event.payload, until).await;
            if let Err(reason) = &result {
                tracing::error!(reason, "the resource failed");
            }
            match Receipt::of(&event.payload, id) {
                None => result.map_err(ResourceError::Failed),
                Some(receipt) => {
                    let delivered = deliver(&receipt, result.as_ref().err(), budget.deadline()).await;
                    delivered.map_err(ResourceError::Unanswered).inspect_err(
                        |error| tracing::error!(%error, "could not report the result to CloudFormation"),
                    )?;
                    Ok(result.unwrap_or_default())
                }
            }
        }
    });
    Runtime::new(service).layer(AfterResponse::new(budgets))
}

/// The handler's result, or the reason of its failure.
async fn work<H, F, T, E>(handler: &H, event: &Value, until: Instant) -> Result<Value, String>
where
    H: Fn(ResourceRequest, Instant) -> F,
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Serialize + Send + 'static,
    E: Display + Send + 'static,
{
    let request = ResourceRequest::of(event)?;
    // It should be done by `until` on its own; what is not is ended a moment later.
    let grace = TO_ANSWER / 10;
    match supervise::run(handler(request, until), until + grace).await {
        Completion::Done(Ok(result)) => {
            serde_json::to_value(result).map_err(|_| "a defect: the result cannot be written down".to_owned())
        }
        Completion::Done(Err(error)) => Err(error.to_string()),
        // Its text may hold anything; it is in the log.
        Completion::Panicked(_) => Err("a defect (panic): the function's log says more".to_owned()),
        Completion::Overran => Err("it did not finish in time".to_owned()),
    }
}
