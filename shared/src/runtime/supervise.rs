use std::{any::Any, future::Future, time::Duration};

use tokio::time::{Instant, timeout, timeout_at};
use tracing::Instrument;

/// How a piece of work ended.
pub(super) enum Completion<T> {
    Done(T),
    Panicked(String),
    Overran,
}

/// Runs `work` as a task of its own until `deadline`, so that a panic in it (also while it is dropped) ends
/// the task and not the process.
pub(super) async fn run<F>(work: F, deadline: Instant) -> Completion<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let mut task = tokio::spawn(work.in_current_span());
    let ended = match timeout_at(deadline, &mut task).await {
        Ok(ended) => ended,
        Err(_) => {
            task.abort();
            // It ends where it next waits; the next event must not find it at work.
            match timeout(Duration::from_millis(250), task).await {
                Ok(ended) => ended,
                Err(_) => return Completion::Overran,
            }
        }
    };
    match ended.map_err(tokio::task::JoinError::try_into_panic) {
        Ok(value) => Completion::Done(value),
        Err(Ok(panic)) => Completion::Panicked(text(&*panic)),
        Err(Err(_)) => Completion::Overran,
    }
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a text").to_owned()
}
