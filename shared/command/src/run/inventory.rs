//! The plan: what there is, what is there already, what cannot go, how long it will take.

use std::time::Duration;

use importer::Totals;
use indicatif::DecimalBytes;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Migration, RunError, registries::Registries};
use crate::forecast::{Speed, forecast};
use crate::plan::{PlanView, ProblemView};
use crate::screen::{Screen, note};
use crate::state::{StateDirectory, read_json, write_json};

/// Where the speed of an earlier run is kept.
const FILE: &str = "speed.json";
/// What is assumed where nothing is known: a gigabit line, half used.
const ASSUMED: f64 = 50e6;
/// A run reads more than one blob at once, and is faster than the reading of one; but no faster than this, since the target
/// takes, hashes and writes all of it.
const AT_ONCE: f64 = 2.0;
const FASTEST: f64 = 200e6;
/// What is assumed of requests a second, and from how many on they tell it by themselves.
const ASSUMED_REQUESTS: f64 = 400.0;
const TO_TELL: u64 = 50;
/// A shorter run says nothing of the speed.
const ENOUGH: Duration = Duration::from_secs(5);

#[derive(Serialize, Deserialize)]
struct Kept {
    bytes_per_second: f64,
}

/// What is known of the speed before anything is copied.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speeds {
    limit: Option<u64>,
    earlier: Option<f64>,
}

impl Speeds {
    pub(super) fn of(directory: &StateDirectory, registries: &Registries) -> Result<Self, RunError> {
        let kept: Option<Kept> = read_json(&directory.file(FILE)).map_err(RunError::unusable)?;
        let limits = [registries.limits.from.max_bandwidth, registries.limits.to.max_bandwidth];
        let limit = limits.into_iter().flatten().map(|bytes| bytes.0).min();
        Ok(Self { limit, earlier: kept.map(|kept| kept.bytes_per_second) })
    }

    /// Bytes a second, and where that is from. `measured`: at what speed the source has given the beginning of a blob.
    fn bytes(self, measured: Option<f64>) -> (f64, String) {
        let (bytes, from) = match (self.earlier, measured) {
            (Some(earlier), _) => (earlier, "as the last run moved"),
            (None, Some(measured)) => {
                ((AT_ONCE * measured).min(FASTEST), "by what the source gave of one blob")
            }
            (None, None) => (ASSUMED, "assumed: too little is left to measure by"),
        };
        #[allow(clippy::cast_precision_loss, reason = "an estimate")]
        let limit = self.limit.map_or(f64::INFINITY, |limit| limit as f64);
        if limit <= bytes { (limit, "the limit".to_owned()) } else { (bytes, from.to_owned()) }
    }

    /// Keeps what a run has moved for the next one's plan.
    pub(super) fn remember(self, directory: &StateDirectory, bytes: u64, took: Duration) {
        if took < ENOUGH || bytes == 0 {
            return;
        }
        #[allow(clippy::cast_precision_loss, reason = "an estimate")]
        let kept = Kept { bytes_per_second: bytes as f64 / took.as_secs_f64() };
        if let Err(error) = write_json(&directory.file(FILE), &kept) {
            note(&error.to_string());
        }
    }
}

impl Migration<'_> {
    /// Makes the plan, and shows how far it is.
    pub(super) async fn plan(
        &self,
        excluded: usize,
        unreadable: &[String],
        speeds: Speeds,
        screen: &mut Screen,
    ) -> Result<(PlanView, Totals), RunError> {
        let (began, before) = (Instant::now(), requests(self.registries));
        let all = self.names.len();
        let seen = std::sync::Mutex::new((0_usize, screen));
        let plan = self
            .importer
            .plan(&self.names, self.arguments.dry_run, &|_| {
                if let Ok(mut seen) = seen.lock() {
                    let (known, screen) = &mut *seen;
                    *known += 1;
                    let text = format!("Reading what there is: {known} of {all} repositories");
                    screen.step(*known as u64, all as u64, &text);
                }
            })
            .await
            .map_err(RunError::unusable)?;
        let asked = requests(self.registries) - before;
        let totals = plan.totals;
        let problems = plan.repositories.iter().flat_map(|repository| {
            repository.failed.iter().chain(&repository.problems).map(|problem| ProblemView {
                repository: repository.source.clone(),
                tag: problem.tag.clone(),
                cause: problem.cause.as_str().to_owned(),
                said: problem.said.clone(),
            })
        });
        let nameless = unreadable.iter().map(|name| ProblemView {
            repository: name.clone(),
            tag: None,
            cause: "protocol".to_owned(),
            said: "the source lists it, and it is no name of a repository".to_owned(),
        });
        let requests_per_second = per_second(asked, began.elapsed());
        let measured = match &plan.sample {
            Some(sample) if speeds.earlier.is_none() => self.importer.measure(sample).await,
            _ => None,
        };
        let (bytes_per_second, basis) = speeds.bytes(measured);
        let speed = Speed { requests_per_second, bytes_per_second };
        let tags_there = plan.repositories.iter().map(|repository| repository.tags_there).sum();
        let manifests_there = plan.repositories.iter().map(|repository| repository.manifests_there).sum();
        let left = Left::of(&totals, tags_there, manifests_there);
        let takes = forecast(left.bytes, left.requests, speed);
        let [from, to] = self.registries.views();
        let view = PlanView {
            from,
            to,
            repositories: plan.repositories.len() as u64,
            excluded: excluded as u64,
            tags: totals.tags,
            tags_there,
            manifests: totals.manifests,
            manifests_there,
            blobs: totals.blobs,
            bytes: totals.bytes,
            bytes_there: totals.bytes_there,
            problems: problems.chain(nameless).collect(),
            forecast_seconds: takes.as_secs(),
            forecast_basis: format!("at {}/s, {basis}", DecimalBytes(whole(bytes_per_second))),
        };
        Ok((view, totals))
    }
}

/// What is left to do, as far as a forecast needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Left {
    bytes: u64,
    /// At both registries together: so they were counted while the plan was made.
    requests: u64,
}

impl Left {
    fn of(totals: &Totals, tags_there: u64, manifests_there: u64) -> Self {
        let bytes = totals.bytes.saturating_sub(totals.bytes_there);
        // Blobs are about as large there as here.
        let there =
            u128::from(totals.blobs) * u128::from(totals.bytes_there) / u128::from(totals.bytes.max(1));
        let blobs = totals.blobs.saturating_sub(u64::try_from(there).unwrap_or(totals.blobs));
        let tags = totals.tags.saturating_sub(tags_there);
        let manifests = totals.manifests.saturating_sub(manifests_there);
        // A blob is read, begun and ended; a manifest is put and read back; a tag is asked for, written and asked for again;
        // a repository's tags are listed at the beginning and at the end. What is there is asked for once.
        let requests =
            3 * blobs + 2 * manifests + 3 * tags + manifests_there + tags_there + 2 * totals.repositories;
        Self { bytes, requests }
    }
}

/// How many requests a second the registries answer, by those of the plan; assumed where these were too few to tell.
#[allow(clippy::cast_precision_loss, reason = "an estimate")]
fn per_second(asked: u64, took: Duration) -> f64 {
    if asked < TO_TELL { ASSUMED_REQUESTS } else { asked as f64 / took.as_secs_f64().max(0.001) }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "made of whole numbers")]
fn whole(bytes: f64) -> u64 {
    bytes as u64
}

/// How many requests were sent so far, to both.
fn requests(registries: &Registries) -> u64 {
    [&registries.source, &registries.target]
        .into_iter()
        .map(|client| client.traffic().requests.values().sum::<u64>())
        .sum()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use importer::Totals;

    use super::{Left, Speeds, per_second};

    #[test]
    fn forecasts_only_what_is_left() {
        let all =
            Totals { repositories: 1, tags: 10, manifests: 10, blobs: 100, bytes: 1_000, bytes_there: 0 };
        assert_eq!(Left::of(&all, 0, 0), Left { bytes: 1_000, requests: 352 });
        let half = Totals { bytes_there: 500, ..all };
        assert_eq!(Left::of(&half, 5, 5), Left { bytes: 500, requests: 187 });
        // All is there, and is proven once more.
        let whole = Totals { bytes_there: 1_000, ..all };
        assert_eq!(Left::of(&whole, 10, 10), Left { bytes: 0, requests: 22 });
        assert_eq!(Left::of(&Totals::default(), 0, 0), Left { bytes: 0, requests: 0 });
    }

    #[test]
    fn assumes_a_speed_where_the_plan_asked_too_little() {
        assert!((per_second(3, Duration::from_secs(3)) - 400.0).abs() < 0.1);
        assert!((per_second(300, Duration::from_secs(3)) - 100.0).abs() < 0.1);
    }

    #[test]
    fn takes_the_lower_of_a_limit_and_what_was_moved() {
        let (bytes, _) = Speeds { limit: None, earlier: None }.bytes(None);
        assert!((bytes - 50e6).abs() < 1.0);
        let (bytes, basis) = Speeds { limit: Some(1_000), earlier: Some(2e6) }.bytes(None);
        assert!((bytes - 1e3).abs() < 1.0 && basis == "the limit");
        let (bytes, basis) = Speeds { limit: Some(5_000_000), earlier: Some(2e6) }.bytes(Some(9e6));
        assert!((bytes - 2e6).abs() < 1.0 && basis == "as the last run moved");
    }

    #[test]
    fn forecasts_by_the_speed_that_was_measured() {
        let speeds = Speeds { limit: None, earlier: None };
        assert!((speeds.bytes(Some(3e6)).0 - 6e6).abs() < 1.0, "several blobs come at once");
        assert!((speeds.bytes(Some(2e9)).0 - 200e6).abs() < 1.0, "the target takes no more");
        let limited = Speeds { limit: Some(1_000_000), earlier: None };
        assert_eq!(limited.bytes(Some(3e6)).1, "the limit");
    }
}
