//! The lines that metrics are taken from, as AWS specifies its embedded metric format and Lambda its filter of
//! log levels.

use std::collections::BTreeMap;

use serde_json::Value;

const UNITS: [&str; 3] = ["Count", "Seconds", "Milliseconds"];

/// Metrics by name and the value of their dimension, which is empty where there is none.
pub type Metrics = BTreeMap<(String, String), f64>;

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

/// A line of the log that is none of metrics is passed over; one that is must be valid.
pub fn metrics(log: &str) -> Metrics {
    let mut found = Metrics::new();
    for text in log.lines() {
        let line: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        filterable(&line);
        if line.get("_aws").is_some() {
            assert!(text.len() < 256 * 1024);
            add(&line, &mut found);
        }
    }
    found
}

/// What Lambda's filter goes by, in every line.
fn filterable(line: &Value) {
    let timestamp = line["timestamp"].as_str().unwrap_or_else(|| panic!("no timestamp: {line}"));
    let (date, time) = timestamp.split_once('T').unwrap_or_else(|| panic!("not RFC 3339: {line}"));
    assert!(date.len() == 10 && time.ends_with('Z') && time.len() >= 9, "not RFC 3339: {line}");
    assert!(["ERROR", "WARN", "INFO"].contains(&line["level"].as_str().unwrap()), "{line}");
}

fn add(line: &Value, found: &mut Metrics) {
    let metadata = &line["_aws"];
    assert_eq!(keys(metadata), ["CloudWatchMetrics", "Timestamp"]);
    // Two weeks back and two hours ahead are taken; this one is of now.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    assert!(metadata["Timestamp"].as_u64().unwrap().abs_diff(now.try_into().unwrap()) < 600_000, "{line}");
    let directives = metadata["CloudWatchMetrics"].as_array().unwrap();
    assert!(!directives.is_empty());
    for directive in directives {
        assert_eq!(keys(directive), ["Dimensions", "Metrics", "Namespace"]);
        assert_eq!(directive["Namespace"], "local");
        let sets = directive["Dimensions"].as_array().unwrap();
        assert_eq!(sets.len(), 1, "{line}");
        let dimensions = sets[0].as_array().unwrap();
        assert!(dimensions.len() <= 30);
        let value: Vec<&str> = dimensions
            .iter()
            .map(|name| line[name.as_str().unwrap()].as_str().expect("a dimension's value is text"))
            .collect();
        let definitions = directive["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&definitions.len()), "{line}");
        for definition in definitions {
            assert_eq!(keys(definition), ["Name", "Unit"]);
            assert!(UNITS.contains(&definition["Unit"].as_str().unwrap()), "{definition}");
            let name = definition["Name"].as_str().unwrap();
            assert!(!name.is_empty() && name.len() <= 1024);
            let number = line[name].as_f64().unwrap_or_else(|| panic!("{name} has no value in {line}"));
            found.insert((name.to_owned(), value.join(",")), number);
        }
    }
}
