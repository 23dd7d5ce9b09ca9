//! How many requests are under way at once: more until the registry gets slow or says that it is too much.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use tokio::{sync::Notify, time::Instant};

use crate::{Action, auth::lock};

/// How many to begin with.
const FIRST: f64 = 4.0;

/// An answer is slow if it takes this many times as long as the quickest ones, and a little longer besides.
const SLOWER: f64 = 2.0;
const LITTLE: f64 = 0.010;

/// How much the latest answer counts in the mean.
const LATEST: f64 = 0.2;

/// Refusals that come within this time belong together.
const TOGETHER: Duration = Duration::from_secs(1);

/// Counts requests under way.
#[derive(Debug)]
pub struct Gate {
    state: Mutex<State>,
    left: Notify,
}

#[derive(Debug)]
struct State {
    /// How many may be under way.
    limit: f64,
    most: f64,
    under_way: usize,
    /// Whether it has never been slow: then more are let in quickly.
    is_new: bool,
    times: BTreeMap<Action, Times>,
    refused: Option<Instant>,
}

/// How long an action's answers take, in seconds.
#[derive(Clone, Copy, Debug)]
struct Times {
    quickest: f64,
    mean: f64,
}

/// One request under way. It is over when this is dropped.
#[derive(Debug)]
pub struct Pass<'a>(&'a Gate);

impl Gate {
    pub fn new(most: usize) -> Self {
        let most = limit_of(most);
        let state = State {
            limit: FIRST.min(most),
            most,
            under_way: 0,
            is_new: true,
            times: BTreeMap::new(),
            refused: None,
        };
        Self { state: Mutex::new(state), left: Notify::new() }
    }

    /// Lets in at most `most`.
    pub fn set_most(&self, most: usize) {
        let mut state = lock(&self.state);
        state.most = limit_of(most);
        state.limit = state.limit.min(state.most);
        drop(state);
        self.left.notify_waiters();
    }

    /// Waits until one more may be under way.
    pub async fn enter(&self) -> Pass<'_> {
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            // From here on it hears of it.
            left.as_mut().enable();
            {
                let mut state = lock(&self.state);
                if (state.under_way as f64) < state.limit.floor() {
                    state.under_way += 1;
                    return Pass(self);
                }
            }
            left.await;
        }
    }

    /// Takes in that an answer took `time` to begin.
    pub fn answered(&self, action: Action, time: Duration) {
        let mut state = lock(&self.state);
        let time = time.as_secs_f64();
        let times = state.times.entry(action).or_insert(Times { quickest: time, mean: time });
        // What was quick once is forgotten slowly: the registry may have moved away.
        times.quickest = (times.quickest * 1.001).min(time);
        times.mean += LATEST * (time - times.mean);
        let is_slow = times.mean > times.quickest * SLOWER + LITTLE;
        let is_full = state.under_way as f64 + 1.0 >= state.limit.floor();
        if is_slow {
            state.is_new = false;
            state.limit = (state.limit - 1.0 / state.limit).max(2.0_f64.min(state.most));
        } else if is_full {
            let more = if state.is_new { 1.0 } else { 1.0 / state.limit };
            state.limit = (state.limit + more).min(state.most);
            drop(state);
            self.left.notify_one();
        }
    }

    /// Takes in that the registry said that it is too much, or said nothing.
    pub fn refused(&self) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        if state.refused.is_none_or(|refused| now >= refused + TOGETHER) {
            state.refused = Some(now);
            state.is_new = false;
            state.limit = (state.limit / 2.0).max(1.0);
        }
    }

    /// How many may be under way now.
    pub fn limit(&self) -> usize {
        let limit = lock(&self.state).limit.floor();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let limit = limit as usize;
        limit
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).under_way -= 1;
        self.0.left.notify_one();
    }
}

fn limit_of(most: usize) -> f64 {
    f64::from(u32::try_from(most.max(1)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Gate, Pass};
    use crate::Action;

    async fn fill(gate: &Gate) -> Vec<Pass<'_>> {
        let mut inside = Vec::new();
        while let Ok(pass) = tokio::time::timeout(Duration::from_millis(1), gate.enter()).await {
            inside.push(pass);
        }
        inside
    }

    #[tokio::test(start_paused = true)]
    async fn lets_in_more_until_answers_get_slow() {
        let gate = Gate::new(64);
        assert_eq!(fill(&gate).await.len(), 4);
        for _ in 0..40 {
            let inside = fill(&gate).await;
            gate.answered(Action::HeadBlob, Duration::from_millis(20));
            drop(inside);
        }
        let most = gate.limit();
        assert!(most > 30, "{most}");
        for _ in 0..1000 {
            gate.answered(Action::HeadBlob, Duration::from_millis(200));
        }
        assert!(gate.limit() < most / 2, "{}", gate.limit());
        assert!(gate.limit() >= 2);
    }

    #[tokio::test(start_paused = true)]
    async fn never_lets_in_more_than_the_most() {
        let gate = Gate::new(6);
        for _ in 0..100 {
            let inside = fill(&gate).await;
            assert!(inside.len() <= 6);
            gate.answered(Action::HeadBlob, Duration::from_millis(1));
        }
        assert_eq!(gate.limit(), 6);
        gate.set_most(2);
        assert_eq!(fill(&gate).await.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn lets_in_half_when_it_is_refused() {
        let gate = Gate::new(64);
        for _ in 0..12 {
            let _inside = fill(&gate).await;
            gate.answered(Action::List, Duration::from_millis(1));
        }
        assert_eq!(gate.limit(), 16);
        (0..5).for_each(|_| gate.refused());
        assert_eq!(gate.limit(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn lets_in_who_waits_when_somebody_leaves() {
        let gate = Gate::new(1);
        let inside = gate.enter().await;
        let (_second, ()) = tokio::join!(gate.enter(), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(inside);
        });
    }
}
