//! A notification a second, all the while.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::ensure;
use tokio::{task::JoinHandle, time::MissedTickBehavior};

/// How long the registry waits for an answer; what comes later is lost.
const LOST_AFTER: Duration = Duration::from_secs(10);

/// Sends the notification of a repository that is done, again and again. Dropping it ends it.
pub(crate) struct Notifier {
    answers: Arc<Mutex<Vec<(String, Duration)>>>,
    sending: JoinHandle<()>,
}

impl Notifier {
    /// Begins to send to `url`.
    pub(crate) fn start(url: String, secret: String, attempt: String) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(LOST_AFTER).build()?;
        let answers: Arc<Mutex<Vec<(String, Duration)>>> = Arc::default();
        let kept = Arc::clone(&answers);
        let sending = tokio::spawn(async move {
            let mut each_second = tokio::time::interval(Duration::from_secs(1));
            each_second.set_missed_tick_behavior(MissedTickBehavior::Burst);
            loop {
                each_second.tick().await;
                let request = http
                    .put(&url)
                    .header("authorization", &secret)
                    .header("x-request-id", &attempt)
                    .json(&serde_json::json!({"name": "done", "path": "watched/done", "status": "import_complete", "detail": ""}));
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    let begun = Instant::now();
                    let answer = match request.send().await {
                        Ok(answer) => answer.status().as_u16().to_string(),
                        Err(error) => format!("{:#}", anyhow::Error::from(error)),
                    };
                    kept.lock().unwrap_or_else(PoisonError::into_inner).push((answer, begun.elapsed()));
                });
            }
        });
        Ok(Self { answers, sending })
    }

    /// How many were answered since it was asked last, and how long the slowest took. All of them must have been taken.
    pub(crate) fn answered(&self, phase: &str) -> anyhow::Result<(usize, Duration)> {
        let answers = std::mem::take(&mut *self.answers.lock().unwrap_or_else(PoisonError::into_inner));
        let refused: Vec<_> = answers.iter().filter(|(answer, _)| answer != "200").collect();
        ensure!(
            refused.is_empty(),
            "{phase}: of {} notifications some were not taken: {refused:?}",
            answers.len()
        );
        Ok((answers.len(), answers.iter().map(|(_, took)| *took).max().unwrap_or_default()))
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.sending.abort();
    }
}
