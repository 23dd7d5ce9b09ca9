//! Metrics as lines of the log (CloudWatch's embedded metric format). By hand, since the crate for it is a recorder behind
//! a facade of counters: here a run measures everything once and writes it at once.

use std::str::FromStr;

use serde_json::{Map, Value, json};

/// The text cannot be a namespace of metrics.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a namespace has 1 to 255 letters, digits and .-_/#: and does not begin with a colon or AWS/")]
pub struct InvalidNamespace;

/// Where CloudWatch keeps a function's metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricNamespace(String);

impl FromStr for MetricNamespace {
    type Err = InvalidNamespace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_/#:".contains(c));
        let reserved = text.starts_with(':') || text.starts_with("AWS/");
        if allowed && !reserved && (1..=255).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidNamespace)
        }
    }
}

/// What a metric's value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
}

impl Unit {
    const fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Seconds => "Seconds",
            Self::Milliseconds => "Milliseconds",
        }
    }
}

/// One value of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// The metric.
    pub name: &'static str,
    /// What its value counts.
    pub unit: Unit,
    /// The value; one that is no finite number is left out.
    pub value: f64,
}

/// The dimension that tells metrics of one name apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dimension {
    /// E.g. `State`.
    pub name: &'static str,
    /// E.g. `importing`.
    pub value: &'static str,
}

/// One line in CloudWatch's embedded metric format: a log line from which CloudWatch takes metrics.
///
/// It carries a `timestamp` and a `level` like every other line: without them Lambda's filter of log levels has
/// nothing to go by. At least one metric, 100 at most; none of them named as one of the line's own fields.
#[must_use]
pub fn embedded_metrics(
    namespace: &MetricNamespace,
    function: &str,
    at: jiff::Timestamp,
    dimension: Option<Dimension>,
    metrics: &[Metric],
) -> String {
    let known: Vec<&Metric> = metrics.iter().filter(|metric| metric.value.is_finite()).collect();
    let definitions: Vec<Value> =
        known.iter().map(|metric| json!({"Name": metric.name, "Unit": metric.unit.name()})).collect();
    let dimensions: Vec<&str> = dimension.iter().map(|dimension| dimension.name).collect();
    let mut line = Map::new();
    line.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": at.as_millisecond(),
            "CloudWatchMetrics": [
                {"Namespace": namespace.0, "Dimensions": [dimensions], "Metrics": definitions},
            ],
        }),
    );
    line.insert("timestamp".to_owned(), json!(format!("{at:.3}")));
    line.insert("level".to_owned(), json!("INFO"));
    line.insert("message".to_owned(), json!("metrics"));
    line.insert("function".to_owned(), json!(function));
    line.extend(dimension.map(|dimension| (dimension.name.to_owned(), json!(dimension.value))));
    line.extend(known.into_iter().map(|metric| (metric.name.to_owned(), json!(metric.value))));
    Value::Object(line).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Dimension, Metric, MetricNamespace, Unit, embedded_metrics};

    #[test]
    fn writes_what_the_directive_and_the_level_filter_need() {
        let at = "2026-01-02T03:04:05.6789Z".parse().unwrap();
        let metrics = [
            Metric { name: "Age", unit: Unit::Seconds, value: 1.5 },
            Metric { name: "Unknown", unit: Unit::Count, value: f64::NAN },
        ];
        let dimension = Dimension { name: "State", value: "importing" };
        let namespace = "stack".parse().unwrap();
        let line = embedded_metrics(&namespace, "observe-migrations", at, Some(dimension), &metrics);
        assert_eq!(
            serde_json::from_str::<Value>(&line).unwrap(),
            json!({
                "_aws": {
                    "Timestamp": 1_767_323_045_678_i64,
                    "CloudWatchMetrics": [{
                        "Namespace": "stack",
                        "Dimensions": [["State"]],
                        "Metrics": [{"Name": "Age", "Unit": "Seconds"}],
                    }],
                },
                "timestamp": "2026-01-02T03:04:05.678Z", "level": "INFO", "message": "metrics",
                "function": "observe-migrations", "State": "importing", "Age": 1.5,
            })
        );
        assert!(!line.contains('\n'));
    }

    #[test]
    fn a_namespace_that_cloudwatch_refuses_is_refused() {
        for text in ["", "AWS/Lambda", ":a", "a b\n", "é", &"a".repeat(256)] {
            assert!(text.parse::<MetricNamespace>().is_err(), "{text:?}");
        }
        assert!("my-stack".parse::<MetricNamespace>().is_ok());
    }
}
