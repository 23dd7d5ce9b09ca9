//! The dashboard, and the alarms on what the functions themselves measure: all they name is there.

use std::collections::BTreeSet;

use observe_migrations::metrics::METRICS;
use serde_json::Value;
use shared::migration::{SkipReason, State};

use super::document::{Template, list, named, text};

/// The body with every `${Name}` replaced by that name, as CloudFormation would by a value; and the names.
fn substituted(template: &Template) -> (Value, BTreeSet<String>) {
    let dashboards = template.resources("AWS::CloudWatch::Dashboard");
    let [dashboard] = dashboards.values().collect::<Vec<_>>()[..] else { panic!("{dashboards:?}") };
    let body = text(&dashboard["DashboardBody"]["Fn::Sub"]);
    let (mut whole, mut names) = (String::new(), BTreeSet::new());
    let mut parts = body.split("${");
    whole.push_str(parts.next().unwrap());
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap();
        names.insert(name.to_owned());
        whole.push_str(name);
        whole.push_str(rest);
    }
    (serde_json::from_str(&whole).expect("JSON, whatever is put in"), names)
}

fn widgets(body: &Value) -> Vec<&Value> {
    list(&body["widgets"])
}

/// The metrics of a widget: namespace, name, dimensions as they stand there.
fn metrics(widget: &Value) -> Vec<Vec<String>> {
    let words =
        |metric: &Value| list(metric).into_iter().filter_map(Value::as_str).map(str::to_owned).collect();
    list(&widget["properties"]["metrics"]).into_iter().map(words).collect()
}

#[test]
fn draws_json_widgets_that_do_not_overlap() {
    let template = Template::read();
    let (body, names) = substituted(&template);
    let resources = template.whole()["Resources"].as_object().unwrap();
    for name in names {
        let resource = name.split('.').next().unwrap();
        assert!(name.starts_with("AWS::") || resources.contains_key(resource), "{name}");
    }
    let mut cells = BTreeSet::new();
    for widget in widgets(&body) {
        assert_eq!(
            (&widget["type"], &widget["properties"]["region"]),
            (&"metric".into(), &"AWS::Region".into())
        );
        let number = |name: &str| widget[name].as_u64().unwrap();
        assert!(number("x") + number("width") <= 24, "{widget}");
        for x in 0..number("width") {
            for y in 0..number("height") {
                assert!(cells.insert((number("x") + x, number("y") + y)), "{widget}");
            }
        }
    }
}

#[test]
fn shows_every_state_reason_and_function() {
    let template = Template::read();
    let filters = template.resources("AWS::Logs::MetricFilter");
    let (body, _) = substituted(&template);
    let shown: Vec<Vec<String>> = widgets(&body).into_iter().flat_map(metrics).collect();
    for metric in shown.iter().filter(|metric| metric[0] == "AWS::StackName") {
        let told_apart = METRICS.iter().find(|known| known.0 == metric[1]).map(|known| known.2);
        assert!(told_apart.is_some() || filters.contains_key(metric[1].as_str()), "{metric:?}");
        assert_eq!(metric.get(2).map(String::as_str), told_apart.flatten(), "{metric:?}");
    }
    let values = |name: &str| -> BTreeSet<&str> {
        let of_it = shown.iter().filter(|metric| metric[1] == name && metric.len() > 3);
        of_it.map(|metric| metric[3].as_str()).collect()
    };
    assert_eq!(values("Repositories"), State::ALL.iter().map(|state| state.name()).collect());
    assert_eq!(values("Skipped"), SkipReason::ALL.iter().map(|reason| reason.name()).collect());
    let functions: BTreeSet<&str> = template.resources("AWS::Serverless::Function").into_keys().collect();
    for metric in ["Errors", "Throttles", "Duration"] {
        assert_eq!(values(metric), functions, "{metric}");
    }
    let alone: BTreeSet<&str> = shown.iter().map(|metric| metric[1].as_str()).collect();
    for metric in [
        "SlotsUsed",
        "TransitionsPerMinute",
        "ReplicaLag",
        "ReaderPastBound",
        "NotificationsRefused",
        "ApproximateNumberOfMessagesVisible",
    ] {
        assert!(alone.contains(metric), "{metric}");
    }
}

#[test]
fn watches_what_is_observed_and_hears_silence_once() {
    let template = Template::read();
    let filters = template.resources("AWS::Logs::MetricFilter");
    let mut watched = BTreeSet::new();
    for (id, alarm) in template.resources("AWS::CloudWatch::Alarm") {
        let several = list(&alarm["Metrics"]).into_iter().filter_map(|of| of["MetricStat"].get("Metric"));
        for metric in several.chain([alarm]).filter(|of| named(&of["Namespace"]) == "AWS::StackName") {
            let metric = text(&metric["MetricName"]);
            if filters.contains_key(metric.as_str()) {
                continue;
            }
            assert!(METRICS.iter().any(|known| known.0 == metric && known.2.is_none()), "{id}: {metric}");
            let silence = if id == "NothingObservedAlarm" { "breaching" } else { "notBreaching" };
            assert_eq!(alarm["TreatMissingData"], silence, "{id}");
            watched.insert(metric);
        }
    }
    let expected = [
        "BreakerOpen",
        "Observed",
        "OldestStuckAge",
        "ReaderFailed",
        "ReplicaLag",
        "TagsMissing",
        "WriterFailed",
    ];
    assert_eq!(watched, BTreeSet::from(expected.map(str::to_owned)));
    // Where an endpoint has not answered, nobody knows how far the reader is behind: that counts as far.
    let lag = template.resources("AWS::CloudWatch::Alarm")["ReplicaLagAlarm"];
    let expression = text(&list(&lag["Metrics"])[0]["Expression"]);
    assert_eq!(expression, "MAX([lag, 1000000 * reader, 1000000 * writer])");
    assert!(lag["Threshold"].as_u64() < Some(1_000_000));
}
