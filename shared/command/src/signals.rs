//! Signals to end: Ctrl-C, SIGTERM, a closed terminal.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that end the command, taken from now on.
pub struct Signals([Signal; 3]);

impl Signals {
    /// Takes them.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn take() -> std::io::Result<Self> {
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    /// Waits for one of them.
    pub async fn received(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }

    /// What `work` yields, or None when a signal came first; the work is dropped then.
    pub async fn or<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.received() => None,
            done = work => Some(done),
        }
    }
}
