use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Step;

/// What an operator decides about the migration as a whole. One row in the database: a change works without a
/// deployment, for every statement that starts after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// +1 at every change.
    pub version: i64,
    /// The kill switch: off means no starts and no promotion from pre to final.
    pub enabled: bool,
    /// Off takes the reader out: what is read there is read on the writer then.
    pub reader_enabled: bool,
    /// How far the reader may be behind before the writer is read instead; 0: no bound.
    pub reader_lag_bound_seconds: i32,
    /// Whether the tags of a repository are compared before the final step and after it.
    pub verify_tags: bool,
    /// How many repositories may be between start and end at once.
    pub capacity: i32,
    /// How long a slot stays empty after a repository has ended in it.
    pub waiting_time_seconds: i32,
    /// A repository with more tags is skipped; 0: no limit. Unknown passes.
    pub max_tags_count: i32,
    /// A repository that failed this often by itself is skipped.
    pub max_retries: i32,
    /// So many different repositories that fail in a row, within a minute, open the circuit breaker; 0: none do.
    pub circuit_breaker_failures: i32,
    /// How long a repository that failed by itself waits for its first retry; for the second ten times and for any
    /// further one sixty times as long. 0: not at all.
    pub retry_backoff_seconds: i32,
    /// What was held for longer is pre-imported again before its final step. 0: never.
    pub repeat_pre_import_after_seconds: i32,
    /// How long steps may take.
    #[serde(flatten)]
    pub steps: StepTimes,
    /// Only repositories registered before.
    pub created_before: Option<jiff::Timestamp>,
    /// Only repositories of these plans; empty: of every plan.
    pub target_plans: Vec<String>,
    /// No repositories below these.
    pub denied_root_namespaces: Vec<String>,
}

/// How long steps may take: the part of the settings that the guard decides by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepTimes {
    /// In progress longer than this, and the registry is asked what became of it.
    pub max_step_duration_seconds: i32,
    /// The least time a pre step may take before it is canceled.
    pub pre_import_timeout_seconds: i32,
    /// The time a final step may take before it is canceled.
    pub import_timeout_seconds: i32,
    /// The time a pre step may take per tag, where that is more.
    pub pre_import_seconds_per_tag: f64,
}

impl StepTimes {
    /// How long a step may run before the registry is asked what became of it.
    #[must_use]
    pub fn usual(&self) -> Duration {
        seconds(self.max_step_duration_seconds)
    }

    /// Whether a step that has finished nothing for `idle` still makes progress. None: the registry does not say, so
    /// only the step's time counts.
    #[must_use]
    pub fn makes_progress(&self, idle: Option<Duration>) -> bool {
        idle.is_some_and(|idle| idle <= self.usual())
    }

    /// How long a step of a repository with so many tags may run before it is canceled.
    #[must_use]
    pub fn timeout(&self, step: Step, tags_count: Option<i32>) -> Duration {
        match step {
            Step::Pre => {
                let tags = f64::from(tags_count.unwrap_or(0).max(0));
                let by_tags = Duration::try_from_secs_f64(tags * self.pre_import_seconds_per_tag);
                seconds(self.pre_import_timeout_seconds).max(by_tags.unwrap_or(Duration::MAX))
            }
            Step::Final => seconds(self.import_timeout_seconds),
        }
    }
}

fn seconds(of: i32) -> Duration {
    Duration::from_secs(u64::try_from(of).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Step, StepTimes};

    #[test]
    fn a_pre_step_with_many_tags_has_longer() {
        let times = StepTimes {
            max_step_duration_seconds: 300,
            pre_import_timeout_seconds: 1800,
            import_timeout_seconds: 600,
            pre_import_seconds_per_tag: 0.5,
        };
        for (step, tags, seconds) in [
            (Step::Pre, None, 1800),
            (Step::Pre, Some(3600), 1800),
            (Step::Pre, Some(10_000), 5000),
            (Step::Final, Some(10_000), 600),
        ] {
            assert_eq!(times.timeout(step, tags), Duration::from_secs(seconds), "{step} {tags:?}");
        }
    }
}
