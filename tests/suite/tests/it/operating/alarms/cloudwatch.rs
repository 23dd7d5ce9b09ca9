//! CloudWatch, as far as the template's alarms need it: data points of one period, taken from what was really written, and
//! an alarm's own filter, statistic, expression and threshold over them.

use std::collections::BTreeMap;

use local::{Function, FunctionSet};
use serde_json::Value;

use super::filters::Pattern;
use crate::{
    deployment::template::document::{Template, list, named, text},
    schedules::observation::emf::Metrics,
};

/// The data points of one period, by the metric's name and the value of its dimension, which is empty where there is none.
#[derive(Debug, Default)]
pub struct Period(BTreeMap<(String, String), Vec<f64>>);

impl Period {
    /// What `observe-migrations` has written in the embedded metric format.
    pub fn of(metrics: &Metrics) -> Self {
        Self(metrics.iter().map(|(key, value)| (key.clone(), vec![*value])).collect())
    }

    /// A metric that AWS alone emits, of a function or a queue.
    pub fn emit(&mut self, metric: &str, of: &str, value: f64) {
        self.0.entry((metric.to_owned(), of.to_owned())).or_default().push(value);
    }

    /// What the template's metric filters find in the lines of a log group.
    pub fn filter(&mut self, group: &str, lines: &str) {
        let template = Template::read();
        for filter in template.resources("AWS::Logs::MetricFilter").into_values() {
            if named(&filter["LogGroupName"]) != group {
                continue;
            }
            let pattern = Pattern::parse(&text(&filter["FilterPattern"]));
            let metric = &list(&filter["MetricTransformations"])[0];
            for line in lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
                if pattern.fits(&line) {
                    let value = text(&metric["MetricValue"]);
                    let value = match value.strip_prefix("$.") {
                        Some(member) => line[member].as_f64().unwrap(),
                        None => value.parse().unwrap(),
                    };
                    self.emit(&text(&metric["MetricName"]), "", value);
                }
            }
        }
    }

    /// The points of another one, too.
    pub fn add(&mut self, other: Self) {
        for (key, points) in other.0 {
            self.0.entry(key).or_default().extend(points);
        }
    }

    fn statistic(&self, metric: &str, of: &str, statistic: &str) -> Option<f64> {
        let points = self.0.get(&(metric.to_owned(), of.to_owned()))?.iter().copied();
        match statistic {
            "Sum" => Some(points.sum()),
            "Maximum" => points.reduce(f64::max),
            other => panic!("{other} is not known here"),
        }
    }

    /// Whether an alarm of the template rings while its periods are as this one.
    pub fn rings(&self, name: &str) -> bool {
        let template = Template::read();
        let alarm = template.resources("AWS::CloudWatch::Alarm")[name];
        let of = |metric: &Value| {
            list(&metric["Dimensions"]).first().map_or_else(String::new, |of| named(&of["Value"]))
        };
        let found = match alarm.get("MetricName") {
            Some(metric) => self.statistic(&text(metric), &of(alarm), &text(&alarm["Statistic"])),
            None => {
                let all = list(&alarm["Metrics"]);
                let measured = |id: &str| {
                    let found = &all.iter().find(|metric| metric["Id"] == id)?["MetricStat"];
                    let metric = &found["Metric"];
                    self.statistic(&text(&metric["MetricName"]), &of(metric), &text(&found["Stat"]))
                };
                let ids = all.iter().filter(|metric| metric.get("MetricStat").is_some());
                let ids: Vec<String> = ids.map(|metric| text(&metric["Id"])).collect();
                let expression = all.iter().find_map(|metric| metric["Expression"].as_str()).unwrap();
                value(&expression.replace("METRICS()", &format!("[{}]", ids.join(", "))), &measured)
            }
        };
        let threshold = match &alarm["Threshold"] {
            Value::Number(number) => number.as_f64().unwrap(),
            parameter => template.whole()["Parameters"][text(&parameter["Ref"])]["Default"].as_f64().unwrap(),
        };
        match (found, text(&alarm["ComparisonOperator"]).as_str()) {
            (None, _) => alarm["TreatMissingData"] == "breaching",
            (Some(found), "GreaterThanOrEqualToThreshold") => found >= threshold,
            (Some(found), "LessThanThreshold") => found < threshold,
            (Some(_), other) => panic!("{other} is not known here"),
        }
    }
}

/// Reads the functions' logs from where they were read last: what they write becomes data points.
pub struct Logs<'a> {
    functions: &'a FunctionSet,
    read: BTreeMap<&'static str, usize>,
}

impl<'a> Logs<'a> {
    /// All that was written.
    pub fn from_the_beginning(functions: &'a FunctionSet) -> Self {
        Self { functions, read: BTreeMap::new() }
    }

    /// From now on.
    pub fn from_now(functions: &'a FunctionSet) -> Self {
        let mut logs = Self::from_the_beginning(functions);
        logs.next();
        logs
    }

    /// What was written since then.
    pub fn next(&mut self) -> Period {
        let mut period = Period::default();
        for (function, id) in FUNCTIONS {
            let log = self.functions.log(function);
            // A line under way belongs to the next period.
            let whole = log.rfind('\n').map_or(0, |end| end + 1);
            let read = self.read.entry(id).or_default();
            period.filter(&format!("{id}Log"), &log[*read..whole]);
            *read = whole;
        }
        period
    }
}

/// The functions whose logs have filters, as the template calls them.
const FUNCTIONS: [(Function, &str); 6] = [
    (Function::StartMigration, "StartMigration"),
    (Function::RegistryNotification, "RegistryNotification"),
    (Function::MigrationStatus, "MigrationStatus"),
    (Function::ManageMigrations, "ManageMigrations"),
    (Function::EnqueueMigrations, "EnqueueMigrations"),
    (Function::GuardMigrations, "GuardMigrations"),
];

/// The value of an expression of CloudWatch's metric math, as far as the template uses it. None: no data.
pub fn value(expression: &str, of: &dyn Fn(&str) -> Option<f64>) -> Option<f64> {
    let expression = expression.trim();
    if let Some((function, rest)) = expression.split_once('(').filter(|_| expression.ends_with(')')) {
        let inside = rest[..rest.len() - 1].trim();
        let inside = inside.strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or(inside);
        let parts: Vec<Option<f64>> = arguments(inside).into_iter().map(|part| value(part, of)).collect();
        return match function {
            "MAX" => parts.into_iter().flatten().reduce(f64::max),
            "MIN" => parts.into_iter().flatten().reduce(f64::min),
            "SUM" => parts.into_iter().flatten().reduce(|sum, part| sum + part),
            "FILL" => parts[0].or(parts[1]),
            other => panic!("{other} is not known here"),
        };
    }
    if let Some((left, right)) = expression.split_once('*') {
        return value(left, of).zip(value(right, of)).map(|(left, right)| left * right);
    }
    expression.parse().ok().or_else(|| of(expression))
}

/// The parts between the commas that stand in no parentheses.
fn arguments(list: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut parts) = (0, 0, Vec::new());
    for (at, letter) in list.char_indices() {
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&list[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[begin..]);
    parts
}
