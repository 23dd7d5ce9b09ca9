use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};

use http::Method;
use lambda_http::{
    Adapter, Body, Error, Request, Response,
    lambda_runtime::{LambdaInvocation, Runtime},
    service_fn,
    tower::{Service, ServiceBuilder},
};

use super::{
    Budget, Budgets,
    after_response::Deferred,
    layer::{AfterResponse, current_budget},
    servable::{refusal, servable},
    supervise::{self, Completion},
};
use crate::{
    startup::since_start,
    web::{Problem, RequestId},
};

const TOO_LONG: &str = "this took too long";
const MAY_STILL_BE_DONE: &str =
    "this took too long, and what was asked for may still be done: look how it stands before you ask again";

/// Serves HTTP events with `handler` until the process ends, within [`Budgets::HTTP`].
///
/// The handler answers every expected failure itself. A panic in it is answered with a 500 that carries only
/// the request's id, and a handler that is not done at its deadline with a 503; both are logged, and the next
/// event is served.
///
/// # Errors
/// When the Runtime API can no longer be spoken to.
pub async fn run_http<H, F>(handler: H) -> Result<(), Error>
where
    H: Fn(Request, Budget) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    run_http_within(Budgets::HTTP, handler).await
}

/// [`run_http`] within other budgets.
///
/// # Errors
/// When the Runtime API can no longer be spoken to.
pub async fn run_http_within<H, F>(budgets: Budgets, handler: H) -> Result<(), Error>
where
    H: Fn(Request, Budget) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    runtime(budgets, since_start(), handler).run().await
}

pub(super) fn runtime<H, F>(
    budgets: Budgets,
    starting: Duration,
    handler: H,
) -> Runtime<impl Service<LambdaInvocation, Response = (), Error = Error>>
where
    H: Fn(Request, Budget) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let handler = Arc::new(handler);
    let service = service_fn(move |request: Request| {
        let handler = Arc::clone(&handler);
        async move { Ok::<_, Infallible>(answer(handler, request, budgets).await) }
    });
    let service = ServiceBuilder::new().map_request(servable).service(Adapter::from(service));
    let first = budgets.of_the_first_request(starting);
    Runtime::new(service).layer(AfterResponse::new(budgets).with_first(first))
}

async fn answer<H, F>(handler: Arc<H>, request: Request, budgets: Budgets) -> Response<Body>
where
    H: Fn(Request, Budget) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let id = RequestId::of(&request);
    if let Some(problem) = refusal(&request) {
        return problem.into_response(&id);
    }
    let only_reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let budget = current_budget(budgets);
    let deferred = Deferred::current();
    let work = async move { deferred.collect(handler(request, budget)).await };
    match supervise::run(work, budget.deadline()).await {
        Completion::Done(response) => response,
        Completion::Panicked(panic) => {
            tracing::error!(panic, "the handler panicked");
            Problem::defect().into_response(&id)
        }
        Completion::Overran => {
            tracing::error!("the handler did not finish before its deadline");
            let text = if only_reads { TOO_LONG } else { MAY_STILL_BE_DONE };
            Problem::unavailable(text, Duration::from_secs(1)).into_response(&id)
        }
    }
}
