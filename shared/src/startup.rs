//! How long a process has been starting: the request that it was started for waits meanwhile.

use std::{sync::OnceLock, time::Duration};

use tokio::time::Instant;

/// How long a process may take to start. Lambda ends one that needs 10 s.
pub(crate) const TO_START: Duration = Duration::from_secs(8);

static STARTED: OnceLock<Instant> = OnceLock::new();

/// Says that the process starts now.
pub(crate) fn begin() {
    let _ = STARTED.set(Instant::now());
}

/// How long the process has been running; nothing where nobody said when it began.
pub(crate) fn since_start() -> Duration {
    STARTED.get().map_or(Duration::ZERO, Instant::elapsed)
}

/// When the process must be ready.
pub(crate) fn start_deadline() -> Instant {
    Instant::now() + TO_START.saturating_sub(since_start())
}
