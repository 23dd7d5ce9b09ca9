use std::{
    fs,
    path::{Path, PathBuf},
};

use super::as_text;
use crate::{
    migration::{AttemptId, State, Step},
    registry::StartAnswer,
    telemetry::{LogLevel, capture::Capture},
};

/// The code of the functions, without its tests' files.
fn sources() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("tests") {
                walk(&path, found);
            } else if path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("tests.rs") {
                found.push(path);
            }
        }
    }
    let shared = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&shared.join("src"), &mut found);
    walk(&shared.join("direct/src"), &mut found);
    walk(&shared.join("../functions"), &mut found);
    found
}

/// The arguments of each line that `text` logs, without its string literals.
fn logged(text: &str) -> Vec<String> {
    let begin = |text: &str| {
        let macros = [
            "tracing::trace!(",
            "tracing::debug!(",
            "tracing::info!(",
            "tracing::warn!(",
            "tracing::error!(",
        ];
        let found = macros.iter().chain(&["_span!("]).filter_map(|name| Some(text.find(name)? + name.len()));
        found.min()
    };
    let (mut rest, mut lines) = (text, Vec::new());
    while let Some(at) = begin(rest) {
        rest = &rest[at..];
        let (mut depth, mut quoted, mut escaped, mut arguments) = (1, false, false, String::new());
        for c in rest.chars() {
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                _ if quoted => continue,
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            arguments.push(c);
        }
        lines.push(arguments);
    }
    lines
}

/// What is wrong with the fields of a line.
fn mistakes(arguments: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    let before = |at: usize| arguments[..at].trim_end().chars().next_back();
    if arguments.match_indices('?').any(|(at, _)| matches!(before(at), None | Some('(' | ',' | '='))) {
        found.push("a field is what Rust would print");
    }
    for (field, value) in arguments.split(',').filter_map(|one| one.split_once('=')) {
        let value = value.trim();
        let shown = value.starts_with('%') || value.contains("map(tracing::field::display)");
        if matches!(field.trim(), "path" | "attempt") && (!shown || value.contains("url")) {
            found.push("path is a repository's, and attempt a bare id");
        }
    }
    found
}

#[test]
fn a_field_that_has_two_spellings_is_found() {
    for (code, wrong) in [
        ("tracing::info!(?summary, \"x\")", true),
        ("tracing::info!(%path, ?answer, \"x\")", true),
        ("tracing::warn!(\n    attempt = ?row.attempt,\n \"x\")", true),
        ("tracing::debug!(path = request.url.path(), \"x\")", true),
        ("tracing::debug!(path = %request.url, \"x\")", true),
        ("tracing::info!(attempt = told.attempt, \"x\")", true),
        ("tracing::info_span!(\"x\", id = ?id)", true),
        ("tracing::info!(%path, %attempt, served_by = as_text(&by), \"why?\")", false),
        (
            "tracing::info!(path = %row.path, attempt = row.attempt.map(tracing::field::display), \"x\")",
            false,
        ),
        ("tracing::info!(rows = rows()?.len(), url_path = request.url.path(), \"x\")", false),
    ] {
        let found: Vec<_> = logged(code).iter().flat_map(|line| mistakes(line)).collect();
        assert_eq!(!found.is_empty(), wrong, "{code}: {found:?}");
    }
}

#[test]
fn every_field_of_the_log_has_one_spelling() {
    let sources = sources();
    let mut lines = 0;
    for path in &sources {
        for line in logged(&fs::read_to_string(path).unwrap()) {
            lines += 1;
            assert_eq!(mistakes(&line), Vec::<&str>::new(), "{}: {line}", path.display());
        }
    }
    assert!(sources.len() > 100 && lines > 40, "{} files, {lines} lines", sources.len());
}

#[test]
fn a_value_is_written_as_in_answers_and_an_attempt_as_its_id() {
    let refused = StartAnswer::Refused { status: 403, code: "DENIED".to_owned(), detail: None };
    for (text, expected) in [
        (as_text(&State::PreImporting), "pre_importing"),
        (as_text(&Some(Step::Final)), "final"),
        (as_text(&StartAnswer::RateLimited), "rate_limited"),
        (as_text(&StartAnswer::AlreadyRunning(Step::Pre)), r#"{"already_running":"pre"}"#),
        (as_text(&refused), r#"{"refused":{"code":"DENIED","detail":null,"status":403}}"#),
        (as_text(&Option::<u8>::None), "null"),
    ] {
        assert_eq!(text, expected);
    }
    let log = Capture::begin("test", LogLevel::default());
    let attempt = AttemptId::new(uuid::Uuid::from_u128(7));
    tracing::info!(%attempt, "known");
    let perhaps = Some(attempt).filter(|attempt| !attempt.uuid().is_nil());
    tracing::info!(attempt = perhaps.map(tracing::field::display), "perhaps");
    tracing::info!(attempt = Option::<AttemptId>::None.map(tracing::field::display), "none");
    assert_eq!(log.line("known")["attempt"], "00000000-0000-0000-0000-000000000007");
    assert_eq!(log.line("perhaps")["attempt"], log.line("known")["attempt"]);
    assert!(log.line("none").get("attempt").is_none());
}
