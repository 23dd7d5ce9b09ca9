//! The alarms.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;

use super::document::{Template, dashed, list, named, text, workspace};

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
    let functions = template.resources("AWS::Serverless::Function");
    let alarms = template.resources("AWS::CloudWatch::Alarm");
    for name in ["FunctionErrorsAlarm", "FunctionThrottlesAlarm", "FunctionsSlowAlarm"] {
        let watched = watched(alarms[name]);
        // Only where somebody waits for an answer. A run on a schedule may use all of its time, and one that had too
        // little has failed; as for apply-schema, that is an event of the stack.
        let slow = name == "FunctionsSlowAlarm";
        let with_routes = template.functions();
        let awaited = |id: &str| !with_routes[&dashed(id)].routes.is_empty();
        let all: BTreeSet<&str> = functions.keys().copied().filter(|id| !slow || awaited(id)).collect();
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
    let deployed = BTreeSet::from(["ApplySchema".to_owned()]);
    assert_eq!(watched(alarm).difference(&deployed).cloned().collect::<BTreeSet<_>>(), scheduled);
    let least = text(&list(&alarm["Metrics"])[0]["Expression"]);
    assert_eq!(least.matches("FILL(").count(), scheduled.len() + 1, "what never ran has no metric: {least}");
    assert_eq!(alarm["TreatMissingData"], "breaching");
}

#[test]
fn watches_every_counter_that_the_code_writes() {
    let template = Template::read();
    let sources = ["shared", "functions"].map(|of| sources(&workspace().join(of))).concat();
    let mut counted = BTreeSet::new();
    let alarms = template.resources("AWS::CloudWatch::Alarm");
    let filters = template.resources("AWS::Logs::MetricFilter");
    assert!(filters.len() >= 5);
    for (id, filter) in filters {
        let pattern = text(&filter["FilterPattern"]);
        counted.extend(counters(&pattern));
        let metric = &filter["MetricTransformations"][0]["MetricName"];
        assert!(alarms.values().any(|alarm| alarm["MetricName"] == *metric), "{id} is watched by no alarm");
    }
    // Which endpoint failed observe-migrations is a metric of its own.
    counted.insert("observe_failed".to_owned());
    assert_eq!(counted, counters(&sources).collect(), "what the template counts and what the code writes");
    for (id, alarm) in alarms {
        assert!(alarm["AlarmActions"]["Fn::If"].is_array(), "{id} tells nobody");
    }
}

#[test]
fn a_read_that_the_writer_served_is_counted_whatever_the_reason() {
    let template = Template::read();
    let filters = template.resources("AWS::Logs::MetricFilter");
    let of = |function: &str| -> BTreeSet<String> {
        let log = format!("{function}Log");
        let here = filters.values().filter(|filter| {
            filter["MetricTransformations"][0]["MetricName"] == "WriterFallback"
                && named(&filter["LogGroupName"]) == log
        });
        here.flat_map(|filter| counters(&text(&filter["FilterPattern"])).collect::<Vec<_>>()).collect()
    };
    let kinds = ["fallback", "reader_lagging", "reader_off"].map(str::to_owned);
    // Only who shows rows has callers that name what they have seen.
    let of_callers = ["stale_read_avoided".to_owned()];
    assert_eq!(of("GuardMigrations"), BTreeSet::from(kinds.clone()));
    assert_eq!(of("MigrationStatus"), kinds.into_iter().chain(of_callers).collect());
}

#[test]
fn watches_unknown_outcomes_of_every_writing_function() {
    let template = Template::read();
    let heard: BTreeSet<String> = template
        .resources("AWS::Logs::MetricFilter")
        .values()
        .filter(|filter| text(&filter["FilterPattern"]).contains("outcome_unknown"))
        .map(|filter| named(&filter["LogGroupName"]))
        .collect();
    let holding = template.functions().into_values().filter(|function| {
        // apply-schema fails as a whole, and the stack with it.
        function.environment.contains_key("WRITER_SECRET_ARN") && function.name != "apply-schema"
    });
    let logs: BTreeSet<String> =
        holding.map(|function| named(&function.properties["LoggingConfig"]["LogGroup"])).collect();
    assert_eq!(heard, logs);
}

#[test]
fn reader_and_writer_may_be_one_only_where_the_topology_says_so() {
    let watched = |topology| {
        let template = Template::with(&[("Topology", topology)]);
        template.resources("AWS::CloudWatch::Alarm").contains_key("EndpointsCollapsedAlarm")
    };
    assert_eq!(["single", "direct-reader", "replica-cluster"].map(watched), [false, true, true]);
}

#[test]
fn raises_no_alarm_while_a_stack_is_young() {
    let template = Template::read();
    let resources = template.whole()["Resources"].as_object().unwrap();
    let alarms = template.resources("AWS::CloudWatch::Alarm").into_iter();
    let by_silence: BTreeSet<&str> = alarms
        .filter(|(_, alarm)| alarm["TreatMissingData"] == "breaching")
        .map(|(id, alarm)| {
            // Made after what ends the silence, and for so long the run of apply-schema stands for it.
            let after = list(&resources[id]["DependsOn"]).into_iter().map(text).collect::<Vec<_>>();
            assert!(after.iter().any(|on| on.ends_with("EveryMinute")), "{id}: {after:?}");
            let metrics = list(&alarm["Metrics"]);
            assert!(text(&metrics[0]["Expression"]).contains("FILL(applied, 0)"), "{id}");
            let applied = metrics.iter().find(|metric| metric["Id"] == "applied").unwrap();
            let metric = &applied["MetricStat"]["Metric"];
            assert_eq!(metric["MetricName"], "Invocations", "{id}");
            assert_eq!(named(&metric["Dimensions"][0]["Value"]), "ApplySchema", "{id}");
            let period = applied["MetricStat"]["Period"].as_u64().unwrap();
            assert!(period * alarm["EvaluationPeriods"].as_u64().unwrap() >= 600, "{id}");
            id
        })
        .collect();
    // One cause, one alarm: who counts nothing is heard once.
    assert_eq!(by_silence, BTreeSet::from(["NothingObservedAlarm", "SchedulesSilentAlarm"]));
}

#[test]
fn tells_notifications_that_are_lost_from_strangers() {
    let template = Template::read();
    let filters = template.resources("AWS::Logs::MetricFilter");
    let pattern = |id: &str| text(&filters[id]["FilterPattern"]);
    assert_eq!(
        pattern("NotificationsRefused"),
        r#"{ ($.route = "PUT /api/*" || $.route = "PUT /internal/*") && $.status >= 400 && $.status != 401 }"#
    );
    assert_eq!(
        pattern("NotificationsUnauthorized"),
        r#"{ ($.route = "PUT /api/*" || $.route = "PUT /internal/*") && $.status = 401 }"#
    );
    let alarm = template.resources("AWS::CloudWatch::Alarm")["NotificationsUnauthorizedAlarm"];
    assert!(alarm["DatapointsToAlarm"].as_u64() > Some(1), "one stranger's request raises it");
}

#[test]
fn counts_at_every_log_level() {
    // The functions leave out what is below LOG_LEVEL, but for what is counted; the platform would not know that.
    for (name, function) in Template::read().functions() {
        assert_eq!(function.properties["LoggingConfig"]["ApplicationLogLevel"], "TRACE", "{name}");
        assert_eq!(function.environment["LOG_LEVEL"], "LogLevel", "{name}");
    }
}

#[test]
fn the_handbook_explains_each_alarm_and_parameter() {
    let readme = std::fs::read_to_string(workspace().join("functions/README.md")).unwrap();
    let template = Template::read();
    let rows: Vec<&str> =
        readme.lines().filter_map(|line| line.split(" | ").next()?.strip_prefix("| `")).collect();
    let named: BTreeSet<&str> = rows.iter().flat_map(|row| row.split('`')).collect();
    let alarms: BTreeSet<&str> = template.resources("AWS::CloudWatch::Alarm").into_keys().collect();
    let explained: BTreeSet<&str> = named.iter().copied().filter(|word| word.ends_with("Alarm")).collect();
    assert_eq!(explained, alarms);
    for parameter in template.whole()["Parameters"].as_object().unwrap().keys() {
        assert!(named.contains(parameter.as_str()), "{parameter}");
    }
}

/// The counters that are named, in a filter's pattern or in the code that writes them.
fn counters(text: &str) -> impl Iterator<Item = String> {
    text.split("counter = \"").skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned)
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
