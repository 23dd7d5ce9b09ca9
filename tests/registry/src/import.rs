//! One import from its beginning to the release of its slot.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::engine::{Engine, Slot};
use crate::rules::{ImportEffects, Point, RequestIdEffect};
use crate::status::{Report, Status, Step};
use crate::storage::{Plan, StorageError};

/// One import.
#[derive(Debug)]
pub(crate) struct Import {
    pub number: u64,
    pub path: String,
    pub step: Step,
    /// The `X-Request-ID` of the call that started it.
    pub request_id: String,
    pub effects: ImportEffects,
    /// The status a cancel has written.
    pub canceled: watch::Receiver<Option<Status>>,
}

/// Why copying ended without success.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// What the real one says before anything that it could not read or copy in the pre step.
    #[error("pre importing tagged manifests: {0}")]
    Pre(StorageError),
    #[error("{0}")]
    Final(StorageError),
    #[error("copying stopped: {0}")]
    Stopped(#[from] tokio::task::JoinError),
    #[error("{0}")]
    OnRequest(String),
}

impl Engine {
    /// Runs an import: copies, stores how it ended, notifies, and only then frees the slot.
    pub(crate) async fn run(self: Arc<Self>, import: Import, slot: Slot, notified: watch::Sender<bool>) {
        let step = import.step;
        let (status, error) = tokio::select! {
            copied = self.copy(&import) => match copied {
                Ok(()) => (step.complete(), None),
                Err(failure) => (step.failed(), Some(failure.to_string())),
            },
            () = self.notice_cancel(&import) => (step.canceled(), None),
            () = self.stopping.cancelled() => (step.canceled(), Some("forced cancelation".to_owned())),
        };
        let report = self.finish(&import, status, error);
        tracing::info!(path = report.path, status = %report.status, detail = report.detail, "import ended");
        self.hold(&import, Point::Notification).await;
        tokio::time::sleep(import.effects.delay).await;
        self.notify(&import, &report).await;
        notified.send_replace(true);
        self.hold(&import, Point::Release).await;
        drop(slot);
    }

    /// Copies what the step copies. Spread over the items, so that an interruption comes in the middle.
    async fn copy(&self, import: &Import) -> Result<(), Failure> {
        let (from, path) = (self.old.clone(), import.path.clone());
        let step = import.step;
        let plan = blocking(step, move || Plan::of_import(&from, &path)).await?;
        let least = match step {
            Step::Pre => self.config.step_time.pre,
            Step::Final => self.config.step_time.r#final,
        };
        let parts = u32::try_from(plan.items.len() + 1).unwrap_or(u32::MAX);
        let pause = least.max(import.effects.slow) / parts;
        for position in 0..=plan.items.len() {
            if position == plan.items.len() / 2 {
                self.interrupt(import).await?;
            }
            if pause > Duration::ZERO {
                tokio::time::sleep(pause).await;
            }
            let Some(item) = plan.items.get(position).cloned() else { break };
            let (from, to, path) = (self.old.clone(), self.new.clone(), import.path.clone());
            blocking(step, move || from.copy_item(&to, &path, &item)).await?;
        }
        if step == Step::Final {
            let (to, path, tags) = (self.new.clone(), import.path.clone(), plan.tags);
            blocking(step, move || to.replace_tags(&path, &tags)).await?;
        }
        Ok(())
    }

    async fn interrupt(&self, import: &Import) -> Result<(), Failure> {
        self.hold(import, Point::Work).await;
        if let Some(error) = &import.effects.fail {
            return Err(Failure::OnRequest(error.clone()));
        }
        if import.effects.cancel && self.cancel(&import.path, false).is_ok() {
            // Noticed like any other cancel: copying does not look.
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn notice_cancel(&self, import: &Import) {
        loop {
            tokio::time::sleep(self.config.cancel_notice).await;
            if import.canceled.borrow().is_some() {
                return;
            }
        }
    }

    async fn hold(&self, import: &Import, point: Point) {
        for (_, id) in import.effects.holds.iter().filter(|(at, _)| *at == point) {
            self.desk.rules.removed(*id).await;
        }
    }

    async fn notify(&self, import: &Import, report: &Report) {
        let effects = &import.effects;
        let request_id = match &effects.request_id {
            RequestIdEffect::Keep => Some(import.request_id.as_str()),
            RequestIdEffect::Drop => None,
            RequestIdEffect::Replace(id) => Some(id.as_str()),
        };
        let journal = &self.desk.journal;
        if effects.lose {
            return self.notifier.skip(report, request_id, journal);
        }
        let sendings = (0..=effects.extra).map(|_| self.notifier.send(report, request_id, journal));
        if effects.concurrently {
            futures::future::join_all(sendings).await;
        } else {
            for sending in sendings {
                sending.await;
            }
        }
    }
}

/// Disk work, off the threads that answer calls.
async fn blocking<T: Send + 'static>(
    step: Step,
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await?.map_err(|error| match step {
        Step::Pre => Failure::Pre(error),
        Step::Final => Failure::Final(error),
    })
}
