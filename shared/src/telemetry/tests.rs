use std::collections::BTreeSet;

use serde_json::json;

use super::{LogLevel, TelemetryError, capture::Capture, init, panic};

fn capture(level: &str) -> Capture {
    Capture::begin("start-migration", level.parse().unwrap())
}

#[test]
fn a_line_is_one_flat_json_object_with_an_rfc_3339_timestamp() {
    let log = capture("info");
    tracing::info_span!("invocation", request_id = "r-1").in_scope(|| {
        tracing::warn!(path = "a/b", version = 7, ratio = 0.5, done = true, error = %"x\ny", "claimed");
    });
    assert_eq!(log.text().matches('\n').count(), 1, "{}", log.text());
    let mut line = log.line("claimed");
    let timestamp = line["timestamp"].take();
    let parsed: jiff::Timestamp = timestamp.as_str().unwrap().parse().unwrap();
    assert!(jiff::Timestamp::now().duration_since(parsed).abs().as_secs() < 60);
    assert!(timestamp.as_str().unwrap().ends_with('Z'));
    assert_eq!(
        line,
        json!({
            "timestamp": null, "level": "WARN", "target": "shared::telemetry::tests", "message": "claimed",
            "function": "start-migration", "request_id": "r-1", "path": "a/b", "version": 7, "ratio": 0.5,
            "done": true, "error": "x\ny",
        })
    );
}

#[test]
fn prefers_the_events_field_then_the_inner_spans() {
    let log = capture("info");
    tracing::info_span!("outer", path = "outer", attempt = 1).in_scope(|| {
        let inner = tracing::info_span!("inner", path = "inner", later = tracing::field::Empty);
        inner.record("later", "known");
        inner.in_scope(|| tracing::info!("first"));
        inner.in_scope(|| tracing::info!(path = "event", "second"));
    });
    assert_eq!(log.line("first")["path"], "inner");
    assert_eq!(log.line("first")["attempt"], 1);
    assert_eq!(log.line("first")["later"], "known");
    assert_eq!(log.line("second")["path"], "event");
}

#[test]
fn an_events_field_cannot_pose_as_the_lines_own() {
    let log = capture("info");
    tracing::info!(level = "FATAL", function = "other", timestamp = "never", "posing");
    let line = log.line("posing");
    assert_eq!((&line["level"], &line["function"]), (&json!("INFO"), &json!("start-migration")));
    assert_ne!(line["timestamp"], "never");
}

#[test]
fn filters_own_lines_by_level_and_others_below_warning() {
    let write = |level: &str| {
        let log = capture(level);
        tracing::debug!(target: "shared::store", "ours");
        tracing::debug!(target: "start_migration::handler", "the function's");
        tracing::trace!(target: "lambda_runtime::layers", "raw event with its Authorization header");
        tracing::info!(target: "hyper", "theirs");
        tracing::error!(target: "aws_config", "their error");
        log.lines().iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    let all = BTreeSet::from(["ours", "the function's", "their error"].map(str::to_owned));
    assert_eq!(write("debug"), all);
    assert_eq!(write("trace"), all);
    assert_eq!(write("info"), BTreeSet::from(["their error".to_owned()]));
    assert_eq!(write("off"), BTreeSet::new());
}

#[test]
fn writes_what_is_counted_at_every_level() {
    // Alarms count these lines: whoever wants fewer lines does not want fewer alarms.
    for level in ["off", "error", "info"] {
        let log = capture(level);
        tracing::info!(target: "shared::endpoint", counter = "stale_read_avoided", "ours");
        tracing::warn!(target: "start_migration::handler", counter = "fallback", "the function's");
        tracing::warn!(target: "aws_config", counter = "fallback", "theirs, as severe as they like");
        tracing::debug!(target: "shared::store", "below every one of these levels");
        let written: BTreeSet<String> =
            log.lines().iter().filter_map(|line| line["message"].as_str().map(str::to_owned)).collect();
        let mut expected = BTreeSet::from(["ours", "the function's"].map(str::to_owned));
        expected.extend((level == "info").then(|| "theirs, as severe as they like".to_owned()));
        assert_eq!(written, expected, "{level}");
    }
}

#[test]
fn a_wrong_level_is_a_named_error_and_nothing_begins() {
    let Err(error) = init("start-migration", Some("loud")) else {
        panic!("accepted");
    };
    assert!(matches!(error, TelemetryError::Level(_)));
    assert_eq!(
        error.to_string(),
        r#"LOG_LEVEL is wrong: "loud" is none of off, error, warn, info, debug, trace"#
    );
    for wrong in ["3", "", "info ", "shared=debug"] {
        assert!(wrong.parse::<LogLevel>().is_err(), "{wrong}");
    }
    assert_eq!("WARN".parse::<LogLevel>(), "warn".parse::<LogLevel>());
}

#[test]
fn a_panic_is_a_line_with_its_place() {
    let before = std::panic::take_hook();
    panic::log_panics();
    let log = capture("info");
    let caught = std::panic::catch_unwind(|| panic!("broken {}", 7));
    std::panic::set_hook(before);
    assert!(caught.is_err());
    let line = log.line("panicked");
    assert_eq!((&line["level"], &line["panic"]), (&json!("ERROR"), &json!("broken 7")));
    assert!(line["location"].as_str().unwrap().contains("tests.rs:"), "{line}");
}
