use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// What is kept of an invocation's time for saying that it was not enough: the platform kills without a word.
const RESERVE: Duration = Duration::from_millis(500);

/// What the first request of a process has at least, however long the start took.
const LEAST: Duration = Duration::from_secs(2);

/// How long a function may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// Until the answer.
    pub handler: Duration,
    /// Until the end of the work after it, where the platform does not say.
    pub invocation: Duration,
}

impl Budgets {
    /// For a function that a caller waits for: 8 seconds until the answer (below the registry's notification
    /// timeout of 10), 29 in all.
    pub const HTTP: Self = Self { handler: Duration::from_secs(8), invocation: Duration::from_secs(29) };

    /// For a function that a schedule invokes: nobody waits, it may use all of its time.
    pub const SCHEDULE: Self = Self { handler: Duration::MAX, invocation: Duration::from_secs(29) };

    /// For a function that a schedule invokes each minute and that repeats its round until the next.
    pub const ROUNDS: Self = Self { handler: Duration::MAX, invocation: Duration::from_secs(60) };
}

impl Budgets {
    /// For the first request of a process that took `starting` until it could be served: the caller has waited since
    /// the start. Something is left in any case, for a statement.
    #[must_use]
    pub(crate) fn of_the_first_request(self, starting: Duration) -> Self {
        let handler = self.handler.saturating_sub(starting).max(LEAST.min(self.handler));
        Self { handler, ..self }
    }
}

/// When a handler, or work after its answer, must be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    deadline: Instant,
    end: Instant,
}

impl Budget {
    /// A budget of its own, from now on: for calls outside an invocation.
    #[must_use]
    pub fn of(time: Duration) -> Self {
        let deadline = Instant::now() + time;
        Self { deadline, end: deadline }
    }

    /// The budget of an invocation that begins now and whose deadline the platform gives. A deadline in the
    /// past is none: cargo lambda gives a constant in 1970.
    pub(crate) fn of_invocation(deadline: SystemTime, budgets: Budgets) -> Self {
        let now = Instant::now();
        let end = match deadline.duration_since(SystemTime::now()) {
            Ok(left) if !left.is_zero() => left.saturating_sub(RESERVE),
            Ok(_) | Err(_) => budgets.invocation.saturating_sub(RESERVE),
        };
        Self { deadline: now + end.min(budgets.handler), end: now + end }
    }

    /// The budget of a part of this, which may take so long.
    #[must_use]
    pub fn at_most(&self, time: Duration) -> Self {
        let deadline = self.deadline.min(Instant::now() + time);
        Self { deadline, end: deadline }
    }

    /// When this must be done.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What is left of it; zero once it is over.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The budget of the work after the answer: to the end of the invocation.
    #[must_use]
    pub fn after_response(&self) -> Self {
        Self { deadline: self.end, end: self.end }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use tokio::time::Instant;

    use super::{Budget, Budgets};

    const BUDGETS: Budgets = Budgets { handler: Duration::from_secs(8), invocation: Duration::from_secs(29) };

    fn seconds(of: Instant, since: Instant) -> f64 {
        of.duration_since(since).as_secs_f64()
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_in_1970_gives_the_configured_budget() {
        let now = Instant::now();
        let budget = Budget::of_invocation(SystemTime::UNIX_EPOCH + Duration::from_secs(600), BUDGETS);
        assert_eq!(seconds(budget.deadline(), now), 8.0);
        assert_eq!(seconds(budget.after_response().deadline(), now), 28.5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_lies_ahead_is_kept_with_a_reserve() {
        let now = Instant::now();
        let budget = Budget::of_invocation(SystemTime::now() + Duration::from_secs(3), BUDGETS);
        let left = seconds(budget.deadline(), now);
        assert!((2.4..=2.5).contains(&left), "{left}");
        assert_eq!(budget.after_response().deadline(), budget.deadline());
    }

    #[tokio::test(start_paused = true)]
    async fn gives_the_handler_the_smaller_of_two_budgets() {
        let now = Instant::now();
        let budget = Budget::of_invocation(SystemTime::now() + Duration::from_secs(60), BUDGETS);
        assert_eq!(seconds(budget.deadline(), now), 8.0);
        assert!(seconds(budget.after_response().deadline(), now) > 59.0);
        let schedule = Budget::of_invocation(SystemTime::now() + Duration::from_secs(60), Budgets::SCHEDULE);
        assert_eq!(schedule.deadline(), schedule.after_response().deadline());
    }

    #[test]
    fn counts_the_start_into_the_first_requests_time() {
        for (started_after, left) in [(0, 8.0), (900, 7.1), (6000, 2.0), (7999, 2.0), (20_000, 2.0)] {
            let budgets = BUDGETS.of_the_first_request(Duration::from_millis(started_after));
            assert_eq!(budgets.handler.as_secs_f64(), left, "{started_after}");
            assert_eq!(budgets.invocation, BUDGETS.invocation);
        }
        let short = Budgets { handler: Duration::from_millis(200), ..BUDGETS };
        assert_eq!(short.of_the_first_request(Duration::from_secs(5)), short);
        let schedule = Budgets::SCHEDULE.of_the_first_request(Duration::from_secs(5));
        assert!(schedule.handler > Budgets::SCHEDULE.invocation, "nobody waits for it");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_ends_at_zero() {
        let budget = Budget::of(Duration::from_secs(1));
        assert_eq!(budget.remaining(), Duration::from_secs(1));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(budget.remaining(), Duration::ZERO);
    }
}
