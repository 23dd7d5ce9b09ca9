//! The runbook, followed: a fault is made, the alarm's own expression rings over the metrics that were written, the command
//! of the handbook is run, and the alarm is silent again.

use local::{Function, Stack, StackOptions};
use serde_json::{Value, json};
use suite::{given, options, repositories, sql, until_state};

use super::command;
use crate::{
    deployment::template::document::{Template, list, text},
    schedules::observation::emf::{Metrics, metrics},
};

/// The value of an expression of CloudWatch's metric math, as far as the template uses it. None: no data.
fn value(expression: &str, of: &dyn Fn(&str) -> Option<f64>) -> Option<f64> {
    let expression = expression.trim();
    if let Some((function, rest)) = expression.split_once('(').filter(|_| expression.ends_with(')')) {
        let inside = rest[..rest.len() - 1].trim();
        let inside = inside.strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or(inside);
        let parts: Vec<Option<f64>> = arguments(inside).into_iter().map(|part| value(part, of)).collect();
        return match function {
            "MAX" => parts.into_iter().flatten().reduce(f64::max),
            "MIN" => parts.into_iter().flatten().reduce(f64::min),
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

/// Whether an alarm of the template rings while the metrics stay as they are.
fn rings(name: &str, metrics: &Metrics) -> bool {
    let template = Template::read();
    let alarm = template.resources("AWS::CloudWatch::Alarm")[name];
    let written = |name: &Value| metrics.get(&(text(name), String::new())).copied();
    let found = match alarm.get("MetricName") {
        Some(name) => written(name),
        None => {
            let all = list(&alarm["Metrics"]);
            let expression = all.iter().find_map(|metric| metric["Expression"].as_str()).unwrap();
            value(expression, &|id| {
                let metric = all.iter().find(|metric| metric["Id"] == id)?;
                written(&metric["MetricStat"]["Metric"]["MetricName"])
            })
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

#[test]
fn reads_the_metric_math_of_the_template() {
    let of = |id: &str| match id {
        "a" => Some(2.0),
        "b" => Some(5.0),
        _ => None,
    };
    for (expression, expected) in [
        ("MAX([a, b])", Some(5.0)),
        ("MAX([a, 1000000 * none, 3 * a])", Some(6.0)),
        ("MAX([MIN([FILL(none, 0), FILL(a, 0)]), FILL(none, 1)])", Some(1.0)),
        ("MAX([none])", None),
    ] {
        assert_eq!(value(expression, &of), expected, "{expression}");
    }
}

async fn observe(stack: &Stack) -> Metrics {
    let before = stack.functions().log(Function::ObserveMigrations).len();
    stack.functions().invoke_on_schedule(Function::ObserveMigrations).await.unwrap();
    metrics(&stack.functions().log(Function::ObserveMigrations)[before..])
}

#[tokio::test(flavor = "multi_thread")]
async fn heals_what_an_alarm_tells_by_its_command() {
    let stack = Stack::start(StackOptions { instances: 1, log_level: "error".to_owned(), ..options() })
        .await
        .unwrap();
    repositories(&stack, &["good/image"]).await.unwrap();
    let quiet = observe(&stack).await;
    for name in
        ["TagsMissingAlarm", "StuckAlarm", "BreakerOpenAlarm", "ReplicaLagAlarm", "NothingObservedAlarm"]
    {
        assert!(!rings(name, &quiet), "{name} rings before anything is wrong");
    }

    // Tags are missing: somebody looked, and they were deleted on purpose.
    given(&stack, "lost/tags", "import_done", None).await.unwrap();
    sql(
        &stack,
        r#"UPDATE container_repositories SET tags_check = 'tags_missing', missing_tags = '{"count": 1, "names": ["v1"]}'
           WHERE path = 'lost/tags'"#,
    )
    .await
    .unwrap();
    // A step has run for two hours, and the registry knows nothing of it.
    given(&stack, "stuck/image", "importing", None).await.unwrap();
    sql(
        &stack,
        "UPDATE container_repositories SET import_started_at = now() - interval '2 hours' WHERE path = 'stuck/image'",
    )
    .await
    .unwrap();
    // Many have failed, and the cause is repaired now.
    sql(
        &stack,
        "INSERT INTO migration_brake (turn, failures, opened_at, next_start_at)
         VALUES (1, '{}', now() - interval '100 seconds', now())",
    )
    .await
    .unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    let ill = observe(&stack).await;
    for name in ["TagsMissingAlarm", "StuckAlarm", "BreakerOpenAlarm"] {
        assert!(rings(name, &ill), "{name} does not ring: {ill:?}");
    }

    let run = async |arguments: &[&str]| command(&stack, arguments).await.ended(0, "");
    run(&["accept", "lost/tags", "--reason", "its owner deleted it"]).await;
    // Before the cancel: the slot that it frees is filled at once, and by the same repository.
    run(&["start", "good/image"]).await;
    run(&["cancel", "stuck/image", "--force"]).await;
    until_state(&stack, "good/image", "import_done").await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    let healed = observe(&stack).await;
    for name in ["TagsMissingAlarm", "StuckAlarm", "BreakerOpenAlarm"] {
        assert!(!rings(name, &healed), "{name} still rings: {healed:?}");
    }

    // The reader is gone: what is shown comes from the writer meanwhile.
    stack.pair().stop_reader().await.unwrap();
    assert!(rings("ReplicaLagAlarm", &observe(&stack).await));
    run(&["settings", "reader_enabled=false"]).await;
    let shown = command(&stack, &["status", "--json"]).await.lines().remove(0);
    assert!(shown["served_by"] != json!("reader"), "{shown}");
    stack.pair().start_reader().await.unwrap();
    run(&["settings", "reader_enabled=true"]).await;
    stack.pair().wait_until_replayed().await.unwrap();
    assert!(!rings("ReplicaLagAlarm", &observe(&stack).await));
    stack.stop().await.unwrap();
}
