use std::{fmt::Display, future::Future, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::Budget;
use crate::config::ScheduleConfig;

/// No round takes longer.
const LONGEST: Duration = Duration::from_millis(28_500);

/// No round is begun with less time than this.
const SHORTEST: Duration = Duration::from_secs(5);

/// How a run on a schedule repeats its round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounds {
    /// From the beginning of one to that of the next.
    pub every: Duration,
    /// None is to begin later than this.
    pub during: Duration,
}

impl Rounds {
    /// From one tick of a minute's schedule to the next there is nowhere more than so much between two rounds.
    pub const EVERY: Duration = Duration::from_secs(10);

    /// For a run that a schedule begins each minute.
    pub const OF_A_MINUTE: Self = Self { every: Self::EVERY, during: Duration::from_secs(50) };
}

impl ScheduleConfig {
    /// How the round is repeated.
    #[must_use]
    pub fn rounds(&self) -> Rounds {
        let during = self.repeat_seconds.map_or(Rounds::OF_A_MINUTE.during, Duration::from_secs);
        Rounds { during, ..Rounds::OF_A_MINUTE }
    }
}

/// Runs `round` again and again, until it is idle, by `is_idle`, or the time is over. What the last one came to is
/// what the run came to: a round that fails is made good by the next.
pub(super) async fn repeat<F, T, E, G>(
    rounds: Rounds,
    budget: Budget,
    round: &(impl Fn(Budget) -> F + Sync),
    is_idle: &(impl Fn(Budget) -> G + Sync),
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>> + Send,
    E: Display + Send,
    T: Send,
    G: Future<Output = Result<bool, E>> + Send,
{
    // One moment for both, or the last round would come a moment too late.
    let begun = Instant::now();
    let last = begun + rounds.during;
    let mut next = begun;
    loop {
        next += rounds.every;
        let outcome = round(budget.at_most(LONGEST)).await;
        // After a long round the next begins at once, and those after it when they would have.
        let now = Instant::now();
        while next + rounds.every <= now {
            next += rounds.every;
        }
        if next > last || next.max(now) + SHORTEST > budget.deadline() {
            return outcome;
        }
        match &outcome {
            Ok(_) => match is_idle(budget.at_most(LONGEST)).await {
                Ok(true) => return outcome,
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "could not find out whether more is due"),
            },
            Err(error) => tracing::error!(%error, "a round failed; the next one goes on"),
        }
        sleep_until(next).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Mutex, PoisonError},
        time::Duration,
    };

    use tokio::time::{Instant, sleep};

    use super::{Rounds, repeat};
    use crate::runtime::Budget;

    const SECOND: Duration = Duration::from_secs(1);

    /// When rounds begin, in seconds from the run's beginning, and what the run comes to. `round` says of each, by its
    /// number, how long it takes and what it comes to; `idle_after` after which there is nothing to do.
    async fn begun(
        rounds: Rounds,
        time: u32,
        round: impl Fn(usize) -> (u32, Result<usize, &'static str>) + Sync,
        idle_after: Option<usize>,
    ) -> (Vec<u64>, Result<usize, &'static str>) {
        let start = Instant::now();
        let begun = Mutex::new(vec![]);
        let count = || begun.lock().unwrap_or_else(PoisonError::into_inner).len();
        let one = |_| {
            begun.lock().unwrap_or_else(PoisonError::into_inner).push(start.elapsed().as_secs());
            let (takes, outcome) = round(count());
            async move {
                sleep(SECOND * takes).await;
                outcome
            }
        };
        let is_idle = |_| {
            let idle = idle_after.is_some_and(|after| count() >= after);
            async move { Ok(idle) }
        };
        let outcome = repeat(rounds, Budget::of(SECOND * time), &one, &is_idle).await;
        (begun.into_inner().unwrap_or_else(PoisonError::into_inner), outcome)
    }

    #[tokio::test(start_paused = true)]
    async fn repeats_each_ten_seconds_until_the_next_tick() {
        let quick = |number| (1, Ok(number));
        let all = vec![0, 10, 20, 30, 40, 50];
        assert_eq!(begun(Rounds::OF_A_MINUTE, 60, quick, None).await, (all, Ok(6)));
    }

    #[tokio::test(start_paused = true)]
    async fn begins_no_round_that_has_no_time_left() {
        for (time, expected) in [(60, 6), (54, 5), (29, 3), (14, 1)] {
            let (times, _) = begun(Rounds::OF_A_MINUTE, time, |number| (1, Ok(number)), None).await;
            assert_eq!(times.len(), expected, "{time} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_to_its_times_after_a_long_round() {
        let long_first = |number| (if number == 1 { 23 } else { 1 }, Ok(number));
        let (times, _) = begun(Rounds::OF_A_MINUTE, 60, long_first, None).await;
        assert_eq!(times, [0, 23, 30, 40, 50]);
    }

    /// By a clock that does not stand still meanwhile.
    #[tokio::test]
    async fn begins_the_last_round_too() {
        let two = Rounds { every: SECOND, during: SECOND };
        assert_eq!(begun(two, 60, |number| (0, Ok(number)), None).await.1, Ok(2));
    }

    #[tokio::test(start_paused = true)]
    async fn ends_at_once_where_nothing_is_left_to_do() {
        for after in [1, 3] {
            let (times, outcome) =
                begun(Rounds::OF_A_MINUTE, 60, |number| (1, Ok(number)), Some(after)).await;
            assert_eq!((times.len(), outcome), (after, Ok(after)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn goes_on_after_a_round_that_failed_and_reports_the_last() {
        let failing = |from: usize, to: usize| {
            move |number| (1, if (from..=to).contains(&number) { Err("down") } else { Ok(number) })
        };
        // One that failed says nothing about what is left to do.
        assert_eq!(begun(Rounds::OF_A_MINUTE, 60, failing(1, 2), Some(1)).await, (vec![0, 10, 20], Ok(3)));
        assert_eq!(begun(Rounds::OF_A_MINUTE, 60, failing(2, 6), None).await.1, Err("down"));
    }

    #[tokio::test(start_paused = true)]
    async fn runs_one_round_where_none_is_to_be_repeated() {
        let one = Rounds { during: Duration::ZERO, ..Rounds::OF_A_MINUTE };
        assert_eq!(begun(one, 60, |number| (1, Ok(number)), None).await, (vec![0], Ok(1)));
    }
}
