//! What is shown: tables for people, JSON for programs.

use std::io::Write;
use std::time::Duration;

use console::{Style, measure_text_width};
use serde_json::Value;

use super::OperateError;
use crate::forecast::in_words;

/// Writes a line to the standard output. A reader that has gone ends the command.
///
/// # Errors
/// When nobody reads it any more.
pub fn line(text: &str) -> Result<(), OperateError> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").map_err(|_| OperateError::Ended)
}

/// Writes a value as one line of JSON.
///
/// # Errors
/// As [`line()`].
pub fn json(value: &Value) -> Result<(), OperateError> {
    line(&value.to_string())
}

/// A value as a cell. What an operator or the registry wrote cannot steer the terminal.
#[must_use]
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => plain(text),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => plain(&value.to_string()),
    }
}

/// A text without control characters.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Seconds as people say them.
#[must_use]
pub fn age(seconds: &Value) -> String {
    let whole = seconds.as_f64().filter(|seconds| *seconds >= 0.0);
    whole.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).map_or("-".to_owned(), in_words)
}

/// A table with its columns under each other; the last is not filled up.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let head: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
    let width = |column: usize| {
        let cells = std::iter::once(&head).chain(rows).filter_map(|row| row.get(column));
        cells.map(|cell| measure_text_width(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let write = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| {
            let filler = " ".repeat(width.saturating_sub(measure_text_width(cell)));
            format!("{cell}{filler}")
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let dim = Style::new().dim();
    let first = dim.apply_to(write(&head)).to_string();
    std::iter::once(first).chain(rows.iter().map(write)).collect()
}

/// A state in its colour: only on a terminal, and without NO_COLOR.
#[must_use]
pub fn state(name: &str) -> String {
    let style = match name {
        "import_done" => Style::new().green(),
        "import_aborted" => Style::new().red(),
        "import_skipped" => Style::new().yellow(),
        "pre_importing" | "pre_import_done" | "importing" => Style::new().cyan(),
        _ => Style::new(),
    };
    style.apply_to(plain(name)).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{age, cell, table};

    #[test]
    fn lets_no_text_steer_the_terminal() {
        assert_eq!(cell(&json!("\u{1b}[2Jdone\r\n")), "\u{fffd}[2Jdone\u{fffd}\u{fffd}");
        assert_eq!(cell(&json!(null)), "-");
        assert_eq!(cell(&json!({"a": 1})), r#"{"a":1}"#);
    }

    #[test]
    fn puts_columns_under_each_other() {
        console::set_colors_enabled(false);
        let rows = [["a", "1", "x"], ["größer", "22", ""]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&["path", "n", "why"], &rows), ["path    n   why", "a       1   x", "größer  22"]);
    }

    #[test]
    fn says_ages_in_words() {
        assert_eq!(
            [json!(30.2), json!(7200), json!(null)].map(|seconds| age(&seconds)),
            ["30 s", "2 h 0 min", "-"]
        );
    }
}
