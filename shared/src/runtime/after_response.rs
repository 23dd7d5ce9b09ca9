//! Work that begins once the caller has its answer.
//!
//! The platform answers the caller when the response is posted, and keeps the process running until it asks for
//! the next event. Between the two there is time. Work that a handler merely spawns would race the answer, or be
//! frozen with the process.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
};

use super::{
    Budget,
    supervise::{self, Completion},
};
use crate::lock::lock;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

tokio::task_local! {
    static CURRENT: Deferred;
}

/// Hands `work` over to be run after the answer of the current invocation has been posted and before the next
/// event is asked for. It may use what is left of the invocation ([`Budget::after_response`]); a panic or an
/// overrun in it is logged. It runs whatever becomes of the handler afterwards.
///
/// Called where no invocation is (in a task that the handler spawned, say), the work cannot be run and is
/// dropped with an error in the log: it must be something that the schedules can do as well.
pub fn defer(work: impl Future<Output = ()> + Send + 'static) {
    let handed_over = CURRENT.try_with(|current| current.push(Box::pin(work)));
    if handed_over.is_err() {
        tracing::error!("`defer` called outside an invocation; work dropped");
    }
}

/// The work that was handed over during one invocation.
#[derive(Clone, Default)]
pub struct Deferred(Arc<Mutex<VecDeque<Work>>>);

impl Deferred {
    /// Runs `handler` and collects what it hands over. The runtime does this for every event; a test that calls
    /// a handler without a runtime does it itself.
    pub async fn collect<F: Future>(&self, handler: F) -> F::Output {
        CURRENT.scope(self.clone(), handler).await
    }

    /// Runs what was handed over, one after the other, until `budget` is used up; also what that hands over.
    pub async fn run(&self, budget: Budget) {
        while let Some(work) = self.pop() {
            let collecting = self.clone();
            let work = async move { collecting.collect(work).await };
            match supervise::run(work, budget.deadline()).await {
                Completion::Done(()) => {}
                Completion::Panicked(panic) => tracing::error!(panic, "the work after the answer panicked"),
                Completion::Overran => {
                    tracing::error!("the work after the answer took longer than the invocation may")
                }
            }
        }
    }

    /// How many pieces of work wait.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.0).len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the invocation that runs here collects into; a collection of its own outside of one.
    pub(super) fn current() -> Self {
        CURRENT.try_with(Self::clone).unwrap_or_default()
    }

    fn push(&self, work: Work) {
        lock(&self.0).push_back(work);
    }

    fn pop(&self) -> Option<Work> {
        lock(&self.0).pop_front()
    }
}
