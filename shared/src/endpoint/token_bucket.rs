use std::time::Duration;

use tokio::time::Instant;

/// A token bucket: so many at once, and one more each `every`. The clock is the caller's.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    most: u32,
    every: Duration,
    left: u32,
    filled: Instant,
}

impl TokenBucket {
    /// A full one.
    #[must_use]
    pub const fn full(most: u32, every: Duration, now: Instant) -> Self {
        Self { most, every, left: most, filled: now }
    }

    /// Takes one, if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.filled);
        let gained = u32::try_from(since.as_nanos() / self.every.as_nanos().max(1)).unwrap_or(u32::MAX);
        self.filled = if gained >= self.most - self.left { now } else { self.filled + self.every * gained };
        self.left = self.left.saturating_add(gained).min(self.most);
        let taken = self.left > 0;
        self.left -= u32::from(taken);
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::TokenBucket;

    #[test]
    fn bursts_then_refills_and_never_holds_more() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut bucket = TokenBucket::full(2, Duration::from_secs(1), start);
        let taken = [0, 0, 0, 999, 1000, 1001, 2500, 3000, 3001, 9000, 9000, 9000];
        let taken = taken.map(|milliseconds| bucket.take(at(milliseconds)));
        let expected = [true, true, false, false, true, false, true, true, false, true, true, false];
        assert_eq!(taken, expected);
        assert!(!bucket.take(start), "a clock that goes back gives nothing");

        let mut bucket = TokenBucket::full(2, Duration::from_secs(1), start);
        let taken = [0, 1500, 2400, 2450].map(|milliseconds| bucket.take(at(milliseconds)));
        assert_eq!(taken, [true, true, true, false], "nothing is gained while it is full");
    }
}
