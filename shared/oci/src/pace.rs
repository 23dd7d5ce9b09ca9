//! Holds back requests and bytes so that a registry's limits are kept.
//!
//! A turn is taken when its time has come, never reserved for later: so a changed limit holds from the next turn on.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use http::HeaderMap;
use tokio::time::{Instant, sleep_until};

use crate::{Action, Limits, auth::lock};

/// How long the rate stays halved after a 429.
const SLOW: Duration = Duration::from_secs(60);

/// 429s that come within this time belong together: the requests were under way already.
const TOGETHER: Duration = Duration::from_secs(1);

/// How long nobody asks once the floor is reached. Then one request looks again.
const HELD: Duration = Duration::from_secs(60);

/// The longest wait until the limits are looked at again.
const LOOK: Duration = Duration::from_millis(250);

/// What is halved at least, in requests per second, where there is no usual rate and hardly anything was asked lately.
const LEAST: f64 = 8.0;

/// The slowest that 429s make us, in requests per second.
const SLOWEST: f64 = 0.2;

/// How much may come at once where bytes are limited, as a part of a second.
const BURST: f64 = 0.1;

#[derive(Debug)]
pub struct Pace(Mutex<State>);

#[derive(Debug)]
struct State {
    limits: Limits,
    /// When the next request may go, of all and of single actions.
    next: Option<Instant>,
    actions: BTreeMap<Action, Instant>,
    /// When the next bytes may go.
    bytes: Option<Instant>,
    slow: Option<Slow>,
    recent: Recent,
    /// Nobody asks until then: the floor is reached.
    held: Option<Instant>,
}

/// The rate since a 429.
#[derive(Clone, Copy, Debug)]
struct Slow {
    /// What the usual rates are multiplied with.
    share: f64,
    /// Requests per second where there is no usual rate.
    rate: f64,
    since: Instant,
    /// Requests since then, and those of them that were refused.
    sent: u32,
    refused: u32,
}

impl Slow {
    /// Whether it is still too fast: a fifth of what was asked since then was refused, or more.
    fn is_too_fast(&self, now: Instant) -> bool {
        now >= self.since + TOGETHER && self.refused.saturating_mul(5) >= self.sent
    }
}

/// How many requests went in this second, and in the one before.
#[derive(Debug)]
struct Recent {
    began: Instant,
    count: u32,
    before: u32,
}

/// The floor of `ratelimit-remaining` is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// How long nobody asks.
    pub pause: Duration,
}

impl Pace {
    pub fn new(limits: Limits) -> Self {
        Self(Mutex::new(State {
            limits,
            next: None,
            actions: BTreeMap::new(),
            bytes: None,
            slow: None,
            recent: Recent { began: Instant::now(), count: 0, before: 0 },
            held: None,
        }))
    }

    pub fn limits(&self) -> Limits {
        lock(&self.0).limits.clone()
    }

    pub fn set_limits(&self, limits: Limits) {
        let mut state = lock(&self.0);
        state.limits = limits;
        // Turns are counted anew from here: a slow limit's last interval does not hold a fast one back.
        state.next = None;
        state.actions.clear();
        state.bytes = None;
    }

    /// Waits for a turn to send a request.
    pub async fn turn(&self, action: Action, deadline: Instant) -> Result<(), Held> {
        loop {
            let now = Instant::now();
            let until = {
                let mut state = lock(&self.0);
                if let Some(held) = state.held {
                    if now < held {
                        if held > deadline {
                            return Err(Held { pause: held - now });
                        }
                    } else {
                        // This one looks; the others wait for what it sees.
                        state.held = Some(now + HELD);
                        state.take(action, now);
                        return Ok(());
                    }
                }
                let due = state.due(action);
                match state.held.max(due) {
                    Some(until) if now < until => until,
                    _ => {
                        state.take(action, now);
                        return Ok(());
                    }
                }
            };
            sleep_until(until.min(now + LOOK).min(deadline)).await;
            if deadline <= Instant::now() {
                return Ok(());
            }
        }
    }

    /// Waits until `bytes` more may come or go.
    pub async fn bytes(&self, bytes: usize) {
        loop {
            let now = Instant::now();
            let until = {
                let mut state = lock(&self.0);
                let Some(rate) = state.limits.bytes_per_second.filter(|rate| *rate > 0) else { return };
                match state.bytes {
                    Some(until) if now < until => until,
                    earlier => {
                        #[allow(clippy::cast_precision_loss)]
                        let cost = Duration::from_secs_f64(bytes as f64 / rate as f64);
                        let credit = now.checked_sub(Duration::from_secs_f64(BURST)).unwrap_or(now);
                        state.bytes = Some(earlier.unwrap_or(now).max(credit) + cost);
                        return;
                    }
                }
            };
            sleep_until(until.min(now + LOOK)).await;
        }
    }

    /// The registry said 429: half as many from now on, for a minute. Half again, where that is still too fast; a few
    /// refusals among many answers are not.
    pub fn refused(&self) {
        let now = Instant::now();
        let mut state = lock(&self.0);
        let begun = |share: f64, rate: f64| Slow {
            share: share.max(0.01),
            rate: rate.max(SLOWEST),
            since: now,
            sent: 0,
            refused: 0,
        };
        let slow = match state.slow_at(now) {
            Some(mut slow) => {
                slow.refused += 1;
                if slow.is_too_fast(now) { begun(slow.share / 2.0, slow.rate / 2.0) } else { slow }
            }
            None => begun(0.5, state.recent.rate(now).max(LEAST) / 2.0),
        };
        state.slow = Some(slow);
    }

    /// Takes in what an answer says of how much is left.
    pub fn told(&self, headers: &HeaderMap) {
        let remaining = headers
            .get("ratelimit-remaining")
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.split(';').next()?.trim().parse::<u64>().ok());
        let mut state = lock(&self.0);
        if let (Some(remaining), Some(floor)) = (remaining, state.limits.floor) {
            state.held = (remaining <= floor).then(|| Instant::now() + HELD);
        }
    }
}

impl State {
    fn slow_at(&self, now: Instant) -> Option<Slow> {
        self.slow.filter(|slow| now < slow.since + SLOW)
    }

    /// When the next request of `action` may go.
    fn due(&self, action: Action) -> Option<Instant> {
        self.next.max(self.actions.get(&action).copied())
    }

    /// Lets a request go.
    fn take(&mut self, action: Action, now: Instant) {
        self.recent.add(now);
        if let Some(slow) = &mut self.slow {
            slow.sent += 1;
        }
        let slow = self.slow_at(now);
        let interval = |usual: Option<f64>, fallback: Option<f64>| {
            let share = slow.map_or(1.0, |slow| slow.share);
            usual
                .filter(|rate| rate.is_finite() && *rate > 0.0)
                .map(|rate| rate * share)
                .or(fallback)
                .map(|rate| Duration::from_secs_f64(1.0 / rate.max(1e-6)))
        };
        let whole = interval(self.limits.requests_per_second, slow.map(|slow| slow.rate));
        let single = interval(self.limits.actions.get(&action).copied(), None);
        self.next = whole.map(|interval| step(self.next, now, interval));
        match single {
            Some(interval) => {
                let earlier = self.actions.get(&action).copied();
                self.actions.insert(action, step(earlier, now, interval));
            }
            None => {
                self.actions.remove(&action);
            }
        }
    }
}

/// The turn after one that was due at `due` and is taken at `now`. What a timer comes late is not lost.
fn step(due: Option<Instant>, now: Instant, interval: Duration) -> Instant {
    let late = now.checked_sub(interval.min(Duration::from_millis(20))).unwrap_or(now);
    due.map_or(now, |due| due.max(late)) + interval
}

impl Recent {
    fn turn_over(&mut self, now: Instant) {
        let age = now.duration_since(self.began);
        if age >= Duration::from_secs(1) {
            self.before = if age < Duration::from_secs(2) { self.count } else { 0 };
            self.count = 0;
            self.began = now;
        }
    }

    fn add(&mut self, now: Instant) {
        self.turn_over(now);
        self.count += 1;
    }

    /// Requests per second, lately.
    fn rate(&mut self, now: Instant) -> f64 {
        self.turn_over(now);
        f64::from(self.before.max(self.count).max(1))
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use http::{HeaderMap, HeaderValue};
    use tokio::time::Instant;

    use super::{Held, Pace};
    use crate::{Action, Limits};

    fn far() -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }

    /// How many requests go within `time`.
    async fn count(pace: &Pace, action: Action, time: Duration) -> u32 {
        let end = Instant::now() + time;
        let mut count = 0;
        loop {
            pace.turn(action, far()).await.unwrap();
            if Instant::now() >= end {
                return count;
            }
            count += 1;
        }
    }

    fn is_about(count: u32, wanted: u32) -> bool {
        count.abs_diff(wanted) <= 2
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_a_rate_of_all_and_of_one_action() {
        let actions = BTreeMap::from([(Action::PutManifest, 10.0)]);
        let limits = Limits { requests_per_second: Some(50.0), actions, ..Limits::default() };
        let pace = Pace::new(limits);
        let second = Duration::from_secs(1);
        let heads = count(&pace, Action::HeadBlob, second).await;
        assert!(is_about(heads, 50), "{heads}");
        let puts = count(&pace, Action::PutManifest, second).await;
        assert!(is_about(puts, 10), "{puts}");
    }

    #[tokio::test(start_paused = true)]
    async fn changes_the_rate_while_somebody_waits() {
        let slow = Limits { requests_per_second: Some(0.001), ..Limits::default() };
        let pace = Pace::new(slow);
        pace.turn(Action::List, far()).await.unwrap();
        let began = Instant::now();
        let (waited, ()) = tokio::join!(pace.turn(Action::List, far()), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            pace.set_limits(Limits::default());
        });
        waited.unwrap();
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn halves_the_rate_for_a_minute_after_a_429() {
        let pace = Pace::new(Limits { requests_per_second: Some(40.0), ..Limits::default() });
        let second = Duration::from_secs(1);
        count(&pace, Action::List, second).await;
        // Those that were under way are answered the same.
        (0..10).for_each(|_| pace.refused());
        let halved = count(&pace, Action::List, second).await;
        assert!(is_about(halved, 20), "{halved}");
        tokio::time::sleep(Duration::from_secs(60)).await;
        let usual = count(&pace, Action::List, second).await;
        assert!(is_about(usual, 40), "{usual}");
    }

    #[tokio::test(start_paused = true)]
    async fn halves_what_it_did_where_there_is_no_limit() {
        let pace = Pace::new(Limits::default());
        for _ in 0..30 {
            pace.turn(Action::List, far()).await.unwrap();
        }
        pace.refused();
        let second = Duration::from_secs(1);
        let halved = count(&pace, Action::List, second).await;
        assert!(is_about(halved, 15), "{halved}");
        // One of many says nothing. One of a few does.
        pace.refused();
        let halved = count(&pace, Action::List, second).await;
        assert!(is_about(halved, 15), "{halved}");
        (0..6).for_each(|_| pace.refused());
        let halved = count(&pace, Action::List, 4 * second).await;
        assert!(is_about(halved, 30), "{halved}");
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_a_bandwidth() {
        let pace = Pace::new(Limits { bytes_per_second: Some(100_000), ..Limits::default() });
        let began = Instant::now();
        for _ in 0..50 {
            pace.bytes(10_000).await;
        }
        let took = began.elapsed().as_secs_f64();
        assert!((4.5..5.3).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn stops_at_the_floor_and_looks_again_later() {
        let pace = Pace::new(Limits { floor: Some(10), ..Limits::default() });
        let left = |text: &'static str| {
            HeaderMap::from_iter([("ratelimit-remaining".parse().unwrap(), HeaderValue::from_static(text))])
        };
        pace.told(&left("11;w=21600"));
        pace.turn(Action::GetManifest, far()).await.unwrap();
        pace.told(&left("10;w=21600"));
        let soon = Instant::now() + Duration::from_secs(5);
        let held = pace.turn(Action::GetManifest, soon).await;
        assert_eq!(held, Err(Held { pause: Duration::from_secs(60) }));
        let began = Instant::now();
        pace.turn(Action::GetManifest, far()).await.unwrap();
        assert!(began.elapsed() >= Duration::from_secs(59));
        // It found no more: the others go on waiting.
        pace.told(&left("10"));
        let soon = Instant::now() + Duration::from_secs(5);
        assert!(pace.turn(Action::GetManifest, soon).await.is_err());
        pace.told(&left("5000"));
        pace.turn(Action::GetManifest, Instant::now()).await.unwrap();
    }
}
