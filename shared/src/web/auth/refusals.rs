use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use crate::lock::lock;

/// How long after a line the next one may be written.
const PAUSE: Duration = Duration::from_secs(1);

/// Counts the callers that are turned away. Anybody may call as often as he likes, so the log has them in one line a
/// second at most; what comes in between is counted in the next line.
#[derive(Debug)]
struct Refusals {
    logged_at: Option<Instant>,
    count: u64,
}

impl Refusals {
    const fn new() -> Self {
        Self { logged_at: None, count: 0 }
    }

    /// Counts one more. Some: so many are due for the log now.
    fn count(&mut self, now: Instant) -> Option<u64> {
        self.count += 1;
        if self.logged_at.is_some_and(|logged_at| now.duration_since(logged_at) < PAUSE) {
            return None;
        }
        self.logged_at = Some(now);
        Some(std::mem::take(&mut self.count))
    }
}

static REFUSALS: Mutex<Refusals> = Mutex::new(Refusals::new());

/// Notes in the log that a caller is turned away.
pub(super) fn note_refusal() {
    let due = lock(&REFUSALS).count(Instant::now());
    if let Some(count) = due {
        tracing::warn!(count, "callers without a valid secret were refused");
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Refusals;

    #[test]
    fn one_line_a_second_tells_of_all_since_the_last() {
        let (mut refusals, begun) = (Refusals::new(), Instant::now());
        let due: Vec<_> = [0, 1, 500, 999, 1000, 1001, 5000, 5001, 7000]
            .map(|after| refusals.count(begun + Duration::from_millis(after)))
            .into();
        assert_eq!(due, [Some(1), None, None, None, Some(4), None, Some(2), None, Some(2)]);
    }
}
