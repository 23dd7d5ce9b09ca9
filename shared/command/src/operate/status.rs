//! `status`: the whole migration in numbers.

use std::io::IsTerminal;
use std::time::Duration;

use console::Term;
use serde_json::Value;

use super::{
    OperateError,
    arguments::Watch,
    client::Driver,
    show::{age, cell, json, line, plain, state, table},
};
use crate::exit::Exit;

const STATES: [&str; 7] = [
    "default",
    "pre_importing",
    "pre_import_done",
    "importing",
    "import_done",
    "import_aborted",
    "import_skipped",
];

/// Shows it once, or again and again.
pub(super) async fn status(arguments: &Watch, driver: &Driver) -> Result<Exit, OperateError> {
    let term = Term::stdout();
    let is_live = arguments.watch && !arguments.connection.json && std::io::stdout().is_terminal();
    let mut shown = 0;
    loop {
        let summary = driver.get("/migrations/summary", &[]).await?;
        if arguments.connection.json {
            json(&summary)?;
        } else if arguments.watch && !is_live {
            line(&in_one_line(&summary))?;
        } else {
            let lines = lines(&summary);
            // The lines of before are written over.
            if is_live && shown > 0 {
                term.clear_last_lines(shown).map_err(|_| OperateError::Ended)?;
            }
            for text in &lines {
                line(text)?;
            }
            shown = lines.len();
        }
        if !arguments.watch || (arguments.wait && summary["left"].as_u64() == Some(0)) {
            return Ok(Exit::Done);
        }
        tokio::time::sleep(Duration::from_secs(arguments.interval)).await;
    }
}

fn in_one_line(summary: &Value) -> String {
    let count = |state: &str| cell(&summary["states"][state]["count"]);
    format!(
        "{} {} left, {} done, {} aborted, {} skipped, {} of {} slots used",
        cell(&summary["at"]),
        cell(&summary["left"]),
        count("import_done"),
        count("import_aborted"),
        count("import_skipped"),
        cell(&summary["slots"]["used"]),
        cell(&summary["slots"]["capacity"]),
    )
}

fn lines(summary: &Value) -> Vec<String> {
    let mut lines = vec![
        format!("{}, served by {}", cell(&summary["at"]), cell(&summary["served_by"])),
        format!(
            "migrations are {}, {} of {} slots are used",
            if summary["enabled"] == true { "on" } else { "OFF" },
            cell(&summary["slots"]["used"]),
            cell(&summary["slots"]["capacity"])
        ),
        String::new(),
    ];
    let rows: Vec<Vec<String>> = STATES
        .iter()
        .map(|name| {
            let found = &summary["states"][*name];
            vec![state(name), cell(&found["count"]), age(&found["oldest_seconds"])]
        })
        .collect();
    lines.extend(table(&["state", "repositories", "longest in it"], &rows));
    lines.push(String::new());
    let ended = cell(&summary["ended_in_the_last_hour"]);
    lines.push(match summary["left"].as_u64() {
        Some(0) => format!("0 left, {ended} ended in the last hour"),
        _ => format!(
            "{} left, {ended} ended in the last hour, time left: {}",
            cell(&summary["left"]),
            age(&summary["seconds_left"])
        ),
    });
    lines.extend(troubles(summary));
    lines
}

/// What somebody should look at, with the command that shows it.
fn troubles(summary: &Value) -> Vec<String> {
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let mut lines = Vec::new();
    if !summary["brake"]["held_by"].is_null() {
        lines.push(format!(
            "starts are held back: {} until {}",
            cell(&summary["brake"]["held_by"]),
            cell(&summary["brake"]["until"])
        ));
    }
    let stuck = &summary["stuck"];
    if number(&stuck["count"]) > 0 {
        lines.push(format!(
            "{} seem stuck, the longest for {}: registry-migration list --state importing --older-than 300, then explain",
            cell(&stuck["count"]),
            age(&stuck["oldest_seconds"])
        ));
    }
    if number(&summary["states"]["import_aborted"]["count"]) > 0 {
        lines.push("why they were aborted: registry-migration list --state import_aborted".to_owned());
    }
    if number(&summary["tags"]["missing"]) > 0 {
        let sample = summary["tags"]["sample"].as_array().into_iter().flatten();
        let sample: Vec<String> = sample.filter_map(Value::as_str).map(plain).collect();
        lines.push(format!("{} have lost tags: {}", cell(&summary["tags"]["missing"]), sample.join(", ")));
    }
    let held = &summary["held"];
    if number(&held["count"]) > 0 || number(&held["left_over"]) > 0 {
        lines.push(format!(
            "{} wait for their hold to end, {} of the last window were not reached: registry-migration hold",
            cell(&held["count"]),
            cell(&held["left_over"])
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{in_one_line, lines};

    #[test]
    fn shows_what_there_is_and_what_is_wrong() {
        let summary = json!({
            "at": "2026-01-01T00:00:00Z", "served_by": "reader", "enabled": true, "left": 3, "ended_in_the_last_hour": 12,
            "seconds_left": 900.0, "slots": {"used": 2, "capacity": 8}, "stuck": {"count": 1, "oldest_seconds": 400.0},
            "brake": {"held_by": "breaker_open", "until": "2026-01-01T00:01:00Z"},
            "states": {"importing": {"count": 2, "oldest_seconds": 7200.0}, "import_aborted": {"count": 1}},
            "tags": {"missing": 1, "sample": ["a/b"]},
        });
        let text = lines(&summary).join("\n");
        for says in [
            "migrations are on, 2 of 8 slots are used",
            "importing        2             2 h 0 min",
            "3 left, 12 ended in the last hour, time left: 15 min",
            "held back: breaker_open",
            "1 seem stuck, the longest for 7 min",
            "list --state import_aborted",
            "1 have lost tags: a/b",
        ] {
            assert!(text.contains(says), "{says:?} is not in:\n{text}");
        }
        let quiet = json!({"enabled": false, "left": 0, "seconds_left": 1.0});
        let text = lines(&quiet).join("\n");
        assert!(text.contains("migrations are OFF") && !text.contains("stuck"), "{text}");
        assert!(!text.contains("time left"), "{text}");
        assert!(in_one_line(&summary).contains("3 left"));
    }
}
