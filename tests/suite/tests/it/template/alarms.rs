//! What somebody is told of.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;

use super::document::{Template, list, named, text, workspace};

/// The functions whose metrics an alarm adds up or compares.
fn watched(alarm: &Value) -> BTreeSet<String> {
    list(&alarm["Metrics"])
        .into_iter()
        .filter_map(|metric| metric["MetricStat"]["Metric"]["Dimensions"].get(0))
        .map(|dimension| named(&dimension["Value"]))
        .collect()
}

#[test]
fn the_alarms_over_all_functions_leave_none_out() {
    let template = Template::read();
    let ids: BTreeSet<&str> = template.resources("AWS::Serverless::Function").into_keys().collect();
    let alarms = template.resources("AWS::CloudWatch::Alarm");
    for name in ["FunctionErrorsAlarm", "FunctionThrottlesAlarm", "FunctionsSlowAlarm"] {
        let watched = watched(alarms[name]);
        // Nobody waits for apply-schema within seconds; that it had too little time is an event of the stack.
        let slow = name == "FunctionsSlowAlarm";
        let all: BTreeSet<&str> = ids.iter().copied().filter(|id| !(slow && *id == "ApplySchema")).collect();
        assert_eq!(watched.iter().map(String::as_str).collect::<BTreeSet<_>>(), all, "{name}");
    }
}

#[test]
fn every_schedule_is_missed_when_it_does_not_run() {
    let template = Template::read();
    let functions = template.resources("AWS::Serverless::Function").into_iter();
    let scheduled: BTreeSet<String> = functions
        .filter(|(_, function)| {
            let events = function["Events"].as_object().into_iter().flat_map(|events| events.values());
            events.into_iter().any(|event| event["Type"] == "Schedule")
        })
        .map(|(id, _)| id.to_owned())
        .collect();
    let alarm = template.resources("AWS::CloudWatch::Alarm")["SchedulesSilentAlarm"];
    assert_eq!(watched(alarm), scheduled);
    let least = text(&list(&alarm["Metrics"])[0]["Expression"]);
    assert_eq!(least.matches("FILL(").count(), scheduled.len(), "what never ran has no metric: {least}");
    assert_eq!(alarm["TreatMissingData"], "breaching");
}

#[test]
fn what_is_counted_in_a_log_is_written_there_by_the_code_and_watched() {
    let template = Template::read();
    let sources = sources(&workspace().join("shared/src"));
    let alarms = template.resources("AWS::CloudWatch::Alarm");
    let filters = template.resources("AWS::Logs::MetricFilter");
    assert!(filters.len() >= 5);
    for (id, filter) in filters {
        let pattern = text(&filter["FilterPattern"]);
        if let Some(counter) = pattern.split("$.counter = \"").nth(1).and_then(|rest| rest.split('"').next())
        {
            let written = format!("counter = \"{counter}\"");
            assert!(sources.contains(&written), "{id}: nothing writes {written}");
        }
        let metric = &filter["MetricTransformations"][0]["MetricName"];
        assert!(alarms.values().any(|alarm| alarm["MetricName"] == *metric), "{id} is watched by no alarm");
    }
    for (id, alarm) in alarms {
        assert!(alarm["AlarmActions"]["Fn::If"].is_array(), "{id} tells nobody");
    }
}

/// Everything that is written in a folder.
fn sources(folder: &Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all += &sources(&path);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            all += &std::fs::read_to_string(&path).unwrap();
        }
    }
    all
}
