//! What CloudWatch asks for what the stack has there, each month.

use std::{collections::BTreeSet, fmt::Write as _};

use observe_migrations::metrics::METRICS;
use shared::migration::{SkipReason, State};

use super::document::{Template, list, text, workspace};

const FROM: &str = "<!-- cloudwatch -->\n";
const TO: &str = "<!-- /cloudwatch -->";

/// How many metrics there are at most, and how many the alarms watch: that is what alarms are paid by.
fn counted(template: &Template) -> (usize, usize) {
    let observed: usize = METRICS
        .iter()
        .map(|metric| match metric.2 {
            None => 1,
            Some("State") => State::ALL.len(),
            Some("Reason") => SkipReason::ALL.len(),
            Some(other) => panic!("{other} is not known here"),
        })
        .sum();
    let filters = template.resources("AWS::Logs::MetricFilter").into_values();
    let filtered: BTreeSet<String> =
        filters.map(|filter| text(&filter["MetricTransformations"][0]["MetricName"])).collect();
    let alarms = template.resources("AWS::CloudWatch::Alarm").into_values();
    let watched = alarms.map(|alarm| {
        list(&alarm["Metrics"]).into_iter().filter(|metric| metric.get("MetricStat").is_some()).count().max(1)
    });
    (observed + filtered.len(), watched.sum())
}

#[test]
fn the_readme_shows_what_cloudwatch_costs() {
    let template = Template::with(&[("Topology", "direct-reader")]);
    let (metrics, watched) = counted(&template);
    let dashboards = template.resources("AWS::CloudWatch::Dashboard").len();
    let rows = [
        ("metrics of the stack's own, at most", metrics, 0.30),
        ("metrics that alarms watch", watched, 0.10),
        ("dashboards", dashboards, 3.00),
    ];
    let mut table = String::from("| CloudWatch, a month | number | price each | USD |\n|---|---|---|---|\n");
    let mut together = 0.0;
    for (what, number, price) in rows {
        let whole = f64::from(u32::try_from(number).unwrap()) * price;
        together += whole;
        writeln!(table, "| {what} | {number} | {price:.2} | {whole:.2} |").unwrap();
    }
    writeln!(table, "| **together** | | | **{together:.2}** |").unwrap();

    let handbook = workspace().join("functions/README.md");
    let whole = std::fs::read_to_string(&handbook).unwrap();
    let (before, rest) = whole.split_once(FROM).expect("the table's mark");
    let (shown, after) = rest.split_once(TO).expect("the mark of the table's end");
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(&handbook, [before, FROM, table.as_str(), TO, after].concat()).unwrap();
    } else {
        assert_eq!(shown, table, "functions/README.md is stale: run this test with UPDATE_README=1");
    }
}
