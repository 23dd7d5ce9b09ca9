//! What was observed, as metrics.

use std::fmt::Write as _;

use jiff::Timestamp;
use shared::{
    driver::{Lag, Observation},
    migration::{SkipReason, State},
    store::Census,
    telemetry::{Dimension, Metric, MetricNamespace, Unit, embedded_metrics},
};

/// Every metric: its name, its unit, its dimension, and what it means. The table of functions/README.md.
pub const METRICS: &[(&str, Unit, Option<&str>, &str)] = &[
    ("Observed", Unit::Count, None, "1; 0 where neither endpoint could count"),
    ("ReaderFailed", Unit::Count, None, "1 where the reader did not answer to something"),
    ("WriterFailed", Unit::Count, None, "1 where the writer did not answer to something"),
    (
        "ReplicaLag",
        Unit::Milliseconds,
        None,
        "from a heartbeat's commit on the writer until it is seen on the reader",
    ),
    (
        "ReplicaLagOpen",
        Unit::Count,
        None,
        "1 where the heartbeat was not seen within 10 s: the lag is at least so much",
    ),
    (
        "ReaderPastBound",
        Unit::Count,
        None,
        "1 where the reader lacks a heartbeat that is older than `reader_lag_bound_seconds`",
    ),
    ("Repositories", Unit::Count, Some("State"), "rows in the state"),
    ("OldestAge", Unit::Seconds, Some("State"), "how long the row longest in the state has been in it"),
    ("Skipped", Unit::Count, Some("Reason"), "rows skipped for the reason"),
    ("SlotsUsed", Unit::Count, None, "repositories in progress"),
    ("Capacity", Unit::Count, None, "how many may be"),
    ("BreakerOpen", Unit::Count, None, "1 while the circuit breaker is open"),
    (
        "StartsHeldBack",
        Unit::Count,
        None,
        "1 while the registry's stop, its want of room or the circuit breaker holds starts back",
    ),
    ("Retries", Unit::Count, None, "failures that were the repositories' own, of all of them"),
    ("TransitionsPerMinute", Unit::Count, None, "transitions in the last minute"),
    ("Stuck", Unit::Count, None, "rows in progress for longer than `max_step_duration_seconds`"),
    ("OldestStuckAge", Unit::Seconds, None, "for how long the longest of them; 0 where there is none"),
    ("TagsMissing", Unit::Count, None, "rows that are done and have lost tags, which nobody has accepted"),
    ("TagsUnverified", Unit::Count, None, "rows that are done and whose tags nobody compared"),
    ("Left", Unit::Count, None, "repositories still to be migrated"),
    (
        "TimeLeft",
        Unit::Seconds,
        None,
        "how long that takes at the pace of the last hour; none where nothing ended in it",
    ),
];

/// The lines that tell CloudWatch what was observed: one for all that stands alone, one for each state and one
/// for each reason.
#[must_use]
pub fn metric_lines(namespace: &MetricNamespace, at: Timestamp, observation: &Observation) -> Vec<String> {
    let line = |dimension, metrics: &[Metric]| {
        embedded_metrics(namespace, "observe-migrations", at, dimension, metrics)
    };
    let mut alone = vec![
        of("Observed", observation.counted.is_some().into()),
        of("ReaderFailed", observation.reader_failed.into()),
        of("WriterFailed", observation.writer_failed.into()),
    ];
    alone.extend(lag(observation.lag));
    alone.extend(observation.past_bound.map(|past| of("ReaderPastBound", past.into())));
    let Some(census) = observation.counted.as_ref().map(|counted| &counted.census) else {
        return vec![line(None, &alone)];
    };
    alone.extend(whole(census));
    let mut lines = vec![line(None, &alone)];
    for (&state, count) in &census.states {
        let metrics =
            [of("Repositories", number(count.count)), of("OldestAge", count.oldest_seconds.unwrap_or(0.0))];
        lines.push(line(Some(Dimension { name: "State", value: State::name(state) }), &metrics));
    }
    for reason in SkipReason::ALL {
        let skipped = census.skips.get(&reason).copied().unwrap_or(0);
        let dimension = Dimension { name: "Reason", value: reason.name() };
        lines.push(line(Some(dimension), &[of("Skipped", number(skipped))]));
    }
    lines
}

fn whole(census: &Census) -> Vec<Metric> {
    let mut metrics = vec![
        of("SlotsUsed", number(census.slots.used)),
        of("Capacity", number(census.slots.capacity)),
        of("BreakerOpen", census.brake.breaker_open_since.is_some().into()),
        of("StartsHeldBack", census.brake.held_by.is_some().into()),
        of("Retries", number(census.retries.counted)),
        of("TransitionsPerMinute", number(census.transitions_per_minute)),
        of("Stuck", number(census.stuck.count)),
        of("OldestStuckAge", census.stuck.oldest_seconds.unwrap_or(0.0)),
        of("TagsMissing", number(census.tags.missing)),
        of("TagsUnverified", number(census.tags.unverified)),
        of("Left", number(census.left)),
    ];
    metrics.extend(census.seconds_left.map(|seconds| of("TimeLeft", seconds)));
    metrics
}

fn lag(lag: Lag) -> Vec<Metric> {
    let (milliseconds, open) = match lag {
        Lag::Seen { milliseconds } => (milliseconds, false),
        Lag::NotSeen { milliseconds } => (milliseconds, true),
        Lag::Unknown => return Vec::new(),
    };
    vec![of("ReplicaLag", number(milliseconds)), of("ReplicaLagOpen", open.into())]
}

/// A value of one of [`METRICS`], in its unit.
fn of(name: &'static str, value: f64) -> Metric {
    let unit = METRICS.iter().find(|metric| metric.0 == name).map_or(Unit::Count, |metric| metric.1);
    Metric { name, unit, value }
}

/// Exact up to 2^53, which nothing here comes near.
const fn number(count: u64) -> f64 {
    count as f64
}

/// [`METRICS`] as a Markdown table, as functions/README.md shows it.
#[must_use]
pub fn metrics_table() -> String {
    let mut table = String::from("| metric | unit | dimension | is |\n|---|---|---|---|\n");
    for (name, unit, dimension, meaning) in METRICS {
        let dimension = dimension.map(|name| format!("`{name}`")).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(table, "| `{name}` | {unit:?} | {dimension} | {meaning} |");
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use shared::driver::{Lag, Observation};

    use super::{METRICS, metric_lines, metrics_table};

    #[test]
    fn the_readme_shows_the_metrics_as_they_are() {
        let readme = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"));
        let table = format!("<!-- metrics -->\n{}<!-- /metrics -->", metrics_table());
        assert!(readme.contains(&table), "functions/README.md is stale; between its marks belongs\n{table}");
    }

    #[test]
    fn names_no_metric_twice_or_like_a_field_of_its_line() {
        let names: BTreeSet<&str> = METRICS.iter().map(|metric| metric.0).collect();
        assert_eq!(names.len(), METRICS.len());
        for taken in ["_aws", "timestamp", "level", "message", "function", "State", "Reason"] {
            assert!(!names.contains(taken), "{taken}");
        }
    }

    #[test]
    fn where_nobody_could_count_that_is_all_that_is_told() {
        let observation = Observation {
            counted: None,
            lag: Lag::Unknown,
            past_bound: None,
            reader_failed: true,
            writer_failed: true,
        };
        let at = jiff::Timestamp::UNIX_EPOCH;
        let lines = metric_lines(&"stack".parse().unwrap(), at, &observation);
        let [line] = &lines[..] else { panic!("{lines:?}") };
        for member in [r#""Observed":0.0"#, r#""ReaderFailed":1.0"#, r#""WriterFailed":1.0"#] {
            assert!(line.contains(member), "{line}");
        }
        assert!(
            !line.contains("ReplicaLag") && !line.contains("ReaderPastBound") && !line.contains("Left"),
            "{line}"
        );
    }
}
