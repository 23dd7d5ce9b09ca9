//! How long something that was fetched may be believed.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// When something was fetched, by both clocks of this machine.
///
/// A process of Lambda is frozen between two requests. Its monotonic clock may stand still meanwhile, and its wall
/// clock may be set back. So what was fetched is as old as the clock says that shows more, and a wall clock that was
/// set back makes it as old as can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FetchedAt {
    monotonic: Instant,
    wall: SystemTime,
}

impl FetchedAt {
    /// Fetched just now.
    #[must_use]
    pub(crate) fn now() -> Self {
        Self { monotonic: Instant::now(), wall: SystemTime::now() }
    }

    /// Whether at least `age` has passed since, by either clock.
    #[must_use]
    pub(crate) fn is_older_than(self, age: Duration) -> bool {
        self.age() >= age
    }

    /// What is left until it is `age` old, by the clock that shows more.
    #[must_use]
    pub(crate) fn left_of(self, age: Duration) -> Duration {
        age.saturating_sub(self.age())
    }

    fn age(self) -> Duration {
        let by_wall_clock = self.wall.elapsed().unwrap_or(Duration::MAX);
        self.monotonic.elapsed().max(by_wall_clock)
    }
}

#[cfg(test)]
impl FetchedAt {
    /// Fetched `ago` by the wall clock, and just now by the monotonic one: what a frozen process sees.
    pub(crate) fn frozen(ago: Duration) -> Self {
        Self::now().frozen_for(ago)
    }

    /// The same after a process was frozen for so long.
    pub(crate) fn frozen_for(self, time: Duration) -> Self {
        Self { wall: self.wall - time, ..self }
    }

    /// The same after the wall clock was set back.
    pub(crate) fn set_back(self, time: Duration) -> Self {
        Self { wall: self.wall + time, ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::FetchedAt;

    const AGE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn grows_old_by_the_monotonic_clock() {
        let fetched = FetchedAt::now();
        assert!(!fetched.is_older_than(AGE));
        tokio::time::advance(AGE).await;
        assert!(fetched.is_older_than(AGE));
    }

    #[tokio::test]
    async fn grows_old_by_the_wall_clock_while_frozen() {
        assert!(!FetchedAt::frozen(AGE / 2).is_older_than(AGE));
        assert!(FetchedAt::frozen(AGE).is_older_than(AGE));
    }

    #[tokio::test]
    async fn is_old_once_the_wall_clock_was_set_back() {
        assert!(FetchedAt::now().set_back(AGE).is_older_than(AGE));
    }
}
