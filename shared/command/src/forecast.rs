//! How long it will take. Pure: told the time.

use std::collections::VecDeque;
use std::time::Duration;

/// What is remembered of the past: long enough to be steady, short enough to follow a change.
const WINDOW: Duration = Duration::from_secs(60);
/// Nothing is said before so much was seen.
const ENOUGH: Duration = Duration::from_secs(5);
/// What a request costs beside its bytes: with it many small repositories and one large one are told alike. A
/// registry on the same machine answers some hundred requests in the time of a MB; one far away answers fewer, and
/// moves fewer bytes too.
const REQUEST: u64 = 20_000;

/// How much there is to do, or was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Bytes of blobs.
    pub bytes: u64,
    /// Manifests and tags, each some requests.
    pub items: u64,
}

impl Amount {
    /// Both in one number.
    #[must_use]
    pub fn effort(self) -> u64 {
        self.bytes.saturating_add(self.items.saturating_mul(REQUEST))
    }
}

/// Tells the time that is left from what was done in the last minute.
#[derive(Debug, Default)]
pub struct Forecast {
    seen: VecDeque<(Duration, u64)>,
}

impl Forecast {
    /// So much is done at `now`, counted from any fixed moment.
    pub fn see(&mut self, now: Duration, done: Amount) {
        self.seen.push_back((now, done.effort()));
        while self.seen.len() > 2 && self.seen.get(1).is_some_and(|(at, _)| now.saturating_sub(*at) >= WINDOW)
        {
            self.seen.pop_front();
        }
    }

    /// How long what is left will take. None: too little was seen, or nothing moves.
    #[must_use]
    pub fn left(&self, left: Amount) -> Option<Duration> {
        let per_second = self.per_second()?;
        #[allow(clippy::cast_precision_loss, reason = "an estimate")]
        Duration::try_from_secs_f64(left.effort() as f64 / per_second).ok()
    }

    /// What was done in a second, of late, in whole bytes. None: too little was seen, or nothing moves.
    #[must_use]
    pub fn bytes_per_second(&self) -> Option<u64> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "made of whole numbers")]
        self.per_second().map(|bytes| bytes as u64)
    }

    fn per_second(&self) -> Option<f64> {
        let ((first, before), (last, after)) = (*self.seen.front()?, *self.seen.back()?);
        let time = last.saturating_sub(first);
        let done = after.saturating_sub(before);
        #[allow(clippy::cast_precision_loss, reason = "an estimate")]
        (time >= ENOUGH && done > 0).then(|| done as f64 / time.as_secs_f64())
    }
}

/// What a plan can know of the speed before anything is copied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// How many requests a second the source answered while the plan was made.
    pub requests_per_second: f64,
    /// Bytes a second: a limit, what an earlier run in the same folder moved, or an assumption.
    pub bytes_per_second: f64,
}

/// How long the whole will take, before it begins. `requests`: at the slower side.
#[must_use]
pub fn forecast(bytes: u64, requests: u64, speed: Speed) -> Duration {
    #[allow(clippy::cast_precision_loss, reason = "an estimate")]
    let (bytes, requests) = (bytes as f64, requests as f64);
    let seconds = bytes / speed.bytes_per_second.max(1.0) + requests / speed.requests_per_second.max(0.01);
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// A time as people say it: no more than two units, rounded.
#[must_use]
pub fn in_words(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..90 => format!("{} s", seconds.max(1)),
        90..5_400 => format!("{} min", (seconds + 30) / 60),
        5_400..172_800 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} days {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Amount, Forecast, Speed, forecast, in_words};

    fn bytes(bytes: u64) -> Amount {
        Amount { bytes, items: 0 }
    }

    #[test]
    fn tells_the_time_left_from_the_last_minute() {
        let mut told = Forecast::default();
        // Ten times slower after two minutes.
        let mut done = 0;
        for second in 0..=240 {
            told.see(Duration::from_secs(second), bytes(done));
            done += if second < 120 { 10_000_000 } else { 1_000_000 };
            if second == 100 {
                assert_eq!(told.left(bytes(100_000_000)).unwrap().as_secs(), 10);
            }
        }
        assert_eq!(told.left(bytes(100_000_000)).unwrap().as_secs(), 100);
    }

    #[test]
    fn tells_nothing_before_it_knows() {
        let mut told = Forecast::default();
        assert_eq!(told.left(bytes(1)), None);
        told.see(Duration::ZERO, bytes(0));
        told.see(Duration::from_secs(4), bytes(1_000));
        assert_eq!(told.left(bytes(1)), None);
        // Standing still for a minute, it does not know either.
        for second in 5..200 {
            told.see(Duration::from_secs(second), bytes(1_000));
        }
        assert_eq!(told.left(bytes(1)), None);
        assert_eq!(told.left(bytes(0)), None);
    }

    #[test]
    fn counts_manifests_and_tags_too() {
        let mut told = Forecast::default();
        told.see(Duration::ZERO, Amount::default());
        told.see(Duration::from_secs(10), Amount { bytes: 0, items: 100 });
        assert_eq!(told.left(Amount { bytes: 0, items: 50 }).unwrap().as_secs(), 5);
    }

    #[test]
    fn forecasts_from_bytes_and_requests() {
        let speed = Speed { requests_per_second: 100.0, bytes_per_second: 1e6 };
        assert_eq!(forecast(10_000_000, 500, speed).as_secs(), 15);
        let none = Speed { requests_per_second: 0.0, bytes_per_second: 0.0 };
        assert!(forecast(u64::MAX, u64::MAX, none) > Duration::from_secs(1_000_000));
    }

    #[test]
    fn says_times_as_people_do() {
        for (seconds, said) in [
            (0, "1 s"),
            (89, "89 s"),
            (90, "2 min"),
            (600, "10 min"),
            (5_400, "1 h 30 min"),
            (172_800, "2 days 0 h"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), said);
        }
    }
}
