//! `report`: what became of each repository, to close a migration with.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;

use serde::Serialize;
use serde_json::Value;

use super::{
    OperateError,
    arguments::{Format, Report},
    client::Driver,
};
use crate::{exit::Exit, proof::no_formula, screen::Screen};

/// A repository's line.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Line {
    repository: String,
    state: String,
    /// Why it was skipped, or why there was nothing to import.
    reason: String,
    registered_at: String,
    /// When its first step was asked for, and when it came to its end.
    started_at: String,
    ended_at: String,
    retries: i64,
    /// How many tags it had when it was registered, and how many of them there are after the import. Empty: nobody knows.
    tags_before: Option<i64>,
    tags_after: Option<i64>,
    tags_check: String,
    /// How many tags the importer has read back and found equal. Empty: it was never asked for this repository.
    tags_proven: Option<u64>,
    /// The first thousand of these, as `TAG@DIGEST`.
    digests: String,
    /// Who changed it: causes, and operators where they gave a name.
    who: String,
    /// The last words of the registry or of an operator.
    said: String,
}

/// A prefix's line.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Sum {
    prefix: String,
    repositories: u64,
    done: u64,
    skipped: u64,
    /// Neither done nor skipped.
    open: u64,
    retries: i64,
    tags_before: i64,
    tags_missing: i64,
    first_started_at: String,
    last_ended_at: String,
    who: String,
}

pub(super) async fn report(arguments: &Report, driver: &Driver) -> Result<Exit, OperateError> {
    let mut screen = Screen::default();
    let mut lines = Vec::new();
    let prefix = arguments.prefix.as_deref();
    let query: Vec<(&str, &str)> = prefix.map(|prefix| ("prefix", prefix)).into_iter().collect();
    driver
        .pages("/migrations/report", &query, "repositories", |page| {
            lines.extend(page.iter().map(sum_up));
            screen.step(lines.len() as u64, 0, &format!("{} repositories read", lines.len()));
            Ok(true)
        })
        .await?;
    screen.clear();
    if arguments.format == Format::Csv {
        lines.iter_mut().for_each(for_spreadsheets);
    }
    if arguments.by_prefix { write(arguments, &by_prefix(&lines)) } else { write(arguments, &lines) }?;
    Ok(Exit::Done)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn sum_up(row: &Value) -> Line {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let state = text(&row["migration_state"]);
    let is_over = matches!(state.as_str(), "import_done" | "import_skipped");
    let who: Vec<String> = list(&row["changed_by"])
        .iter()
        .map(|actor| match actor["operator"].as_str() {
            Some(operator) => format!("{} ({operator})", text(&actor["cause"])),
            None => text(&actor["cause"]),
        })
        .collect();
    let before = row["tags_count"].as_i64();
    let after = match row["tags_check"].as_str() {
        Some("tags_complete") => before,
        Some("tags_missing" | "tags_accepted") => {
            before.zip(row["tags_missing"].as_i64()).map(|(before, missing)| (before - missing).max(0))
        }
        _ => None,
    };
    let digests = row["proven"]["digests"].as_object().into_iter().flatten();
    let digests: Vec<String> = digests.map(|(tag, digest)| format!("{tag}@{}", text(digest))).collect();
    Line {
        repository: text(&row["path"]),
        reason: text(&row["skipped_reason"]),
        registered_at: text(&row["created_at"]),
        started_at: text(&row["started_at"]),
        ended_at: if is_over { text(&row["state_since"]) } else { String::new() },
        retries: row["retries_count"].as_i64().unwrap_or(0),
        tags_before: before,
        tags_after: after,
        tags_check: text(&row["tags_check"]),
        tags_proven: row["proven"]["tags"].as_u64(),
        digests: digests.join(" "),
        who: who.join("; "),
        said: text(&row["detail"]),
        state,
    }
}

/// What others wrote, a registry or whoever pushed a tag, is no formula.
fn for_spreadsheets(line: &mut Line) {
    for text in [&mut line.said, &mut line.who, &mut line.digests] {
        *text = no_formula(text);
    }
}

/// Sums by the first part of the paths.
fn by_prefix(lines: &[Line]) -> Vec<Sum> {
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    for line in lines {
        let prefix = line.repository.split('/').next().unwrap_or_default();
        let sum = sums.entry(prefix).or_insert_with(|| Sum { prefix: prefix.to_owned(), ..Sum::default() });
        sum.repositories += 1;
        match line.state.as_str() {
            "import_done" => sum.done += 1,
            "import_skipped" => sum.skipped += 1,
            _ => sum.open += 1,
        }
        sum.retries += line.retries;
        sum.tags_before += line.tags_before.unwrap_or(0);
        sum.tags_missing += line.tags_before.zip(line.tags_after).map_or(0, |(before, after)| before - after);
        // Times of one form: their order is that of their texts.
        let is_first = sum.first_started_at.is_empty() || line.started_at < sum.first_started_at;
        if !line.started_at.is_empty() && is_first {
            sum.first_started_at.clone_from(&line.started_at);
        }
        if line.ended_at > sum.last_ended_at {
            sum.last_ended_at.clone_from(&line.ended_at);
        }
        for name in line.who.split("; ").filter(|name| !name.is_empty()) {
            if !sum.who.split("; ").any(|known| known == name) {
                let between = if sum.who.is_empty() { "" } else { "; " };
                sum.who += &format!("{between}{name}");
            }
        }
    }
    sums.into_values().collect()
}

fn write<T: Serialize>(arguments: &Report, lines: &[T]) -> Result<(), OperateError> {
    let unusable = |error: &dyn std::fmt::Display| {
        OperateError::Unusable(format!("the report cannot be written: {error}"))
    };
    let mut out: Box<dyn Write> = match &arguments.output {
        Some(file) => Box::new(File::create(file).map_err(|error| unusable(&error))?),
        None => Box::new(std::io::stdout().lock()),
    };
    match arguments.format {
        Format::Ndjson => {
            for line in lines {
                let text = serde_json::to_string(line).map_err(|error| unusable(&error))?;
                writeln!(out, "{text}").map_err(|error| unusable(&error))?;
            }
        }
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(&mut out);
            lines.iter().try_for_each(|line| csv.serialize(line)).map_err(|error| unusable(&error))?;
            csv.flush().map_err(|error| unusable(&error))?;
        }
    }
    out.flush().map_err(|error| unusable(&error))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{by_prefix, for_spreadsheets, sum_up};

    fn row(path: &str, state: &str, more: Value) -> Value {
        let mut row = json!({
            "path": path, "migration_state": state, "created_at": "2026-01-01T00:00:00Z",
            "state_since": "2026-01-03T00:00:00Z", "retries_count": 1, "tags_count": 5,
        });
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    }

    #[test]
    fn says_who_did_what_when_and_how_many_tags_there_are() {
        let lost = sum_up(&row(
            "team/a",
            "import_done",
            json!({
                "tags_check": "tags_missing", "tags_missing": 2, "started_at": "2026-01-02T00:00:00Z",
                "changed_by": [
                    {"cause": "start", "operator": "ann"}, {"cause": "notification", "operator": null},
                ],
                "proven": {"tags": 2, "digests": {"v1": "sha256:1", "v2": "sha256:2"}},
            }),
        ));
        assert_eq!((lost.tags_before, lost.tags_after, lost.tags_proven), (Some(5), Some(3), Some(2)));
        assert_eq!(
            (lost.who.as_str(), lost.started_at.as_str(), lost.digests.as_str()),
            ("start (ann); notification", "2026-01-02T00:00:00Z", "v1@sha256:1 v2@sha256:2")
        );
        let open = sum_up(&row("team/b", "import_aborted", json!({})));
        assert_eq!((open.ended_at.as_str(), open.tags_after), ("", None));
        let other = sum_up(&row("x", "import_skipped", json!({"skipped_reason": "not_in_plan"})));

        let sums = by_prefix(&[lost, open, other]);

        assert_eq!(sums.len(), 2);
        let team = &sums[0];
        assert_eq!((team.prefix.as_str(), team.repositories, team.done, team.open), ("team", 2, 1, 1));
        assert_eq!((team.tags_before, team.tags_missing, team.retries), (10, 2, 2));
        assert_eq!((team.who.as_str(), sums[1].skipped), ("start (ann); notification", 1));
    }

    #[test]
    fn gives_no_formula_to_a_spreadsheet() {
        let mut line = sum_up(&row("team/a", "import_aborted", json!({"detail": "=cmd|' /C calc'!A0"})));
        for_spreadsheets(&mut line);
        assert_eq!(line.said, "'=cmd|' /C calc'!A0");
    }
}
