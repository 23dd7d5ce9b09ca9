use std::{future::Future, pin::Pin, task};

use lambda_http::{
    Error,
    lambda_runtime::LambdaInvocation,
    tower::{Layer, Service},
};
use tracing::Instrument;

use super::{Budget, Budgets, after_response::Deferred};

/// Runs the work that a handler hands over, after its answer. The future it wraps posts the answer to the
/// Runtime API and resolves when the post has been taken; the runtime asks for the next event when the future
/// made here resolves.
pub(super) struct AfterResponse {
    budgets: Budgets,
    first: Option<Budgets>,
}

impl AfterResponse {
    pub(super) fn new(budgets: Budgets) -> Self {
        Self { budgets, first: None }
    }

    /// Gives the first request other budgets.
    pub(super) fn with_first(self, first: Budgets) -> Self {
        Self { first: Some(first), ..self }
    }
}

impl<S> Layer<S> for AfterResponse {
    type Service = AfterResponseService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AfterResponseService { inner, budgets: self.budgets, first: self.first }
    }
}

pub(super) struct AfterResponseService<S> {
    inner: S,
    budgets: Budgets,
    first: Option<Budgets>,
}

tokio::task_local! {
    static BUDGET: Budget;
}

/// The budget of the invocation that runs here; outside of one, `budgets` from now on.
pub(super) fn current_budget(budgets: Budgets) -> Budget {
    BUDGET.try_with(|budget| *budget).unwrap_or_else(|_| Budget::of(budgets.handler.min(budgets.invocation)))
}

impl<S> Service<LambdaInvocation> for AfterResponseService<S>
where
    S: Service<LambdaInvocation, Response = (), Error = Error>,
    S::Future: 'static,
{
    type Response = ();
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<(), Error>>>>;

    fn poll_ready(&mut self, context: &mut task::Context<'_>) -> task::Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        let budgets = self.first.take().unwrap_or(self.budgets);
        let budget = Budget::of_invocation(invocation.context.deadline(), budgets);
        let span = tracing::info_span!("invocation", request_id = invocation.context.request_id);
        let answer = self.inner.call(invocation);
        let run = async move {
            let deferred = Deferred::default();
            let posted = BUDGET.scope(budget, deferred.collect(answer)).await;
            // Also when the post failed: what the handler committed stands, and this belongs to it.
            deferred.run(budget.after_response()).await;
            posted
        };
        Box::pin(run.instrument(span))
    }
}
