use std::time::Duration;

use super::{EndpointHealth, HEALTH_RETRY, HEALTH_TTL, Silence, silence};
use crate::{
    endpoint::{
        EndpointError, ErrorClass, Execution, Failure, Identity, PURPOSES, PurposeRule, ReaderLag,
        ReaderRule, ReaderStatus, Relation, SqlState, WriterStatus, bypass::BypassReason, resort_past_bound,
    },
    freshness::FetchedAt,
};

fn writer(reader_enabled: bool, lag_is_bounded: bool, read_only: bool) -> Option<WriterStatus> {
    Some(WriterStatus {
        identity: Identity { server: "1".to_owned(), read_only },
        rule: ReaderRule { reader_enabled, lag_is_bounded, overdue_heartbeat: Some(7) },
    })
}

fn gone() -> EndpointError {
    let failure = Failure::new(Execution::DidNotRun, ErrorClass::Unavailable);
    EndpointError { endpoint: "reader", statement: "status", attempts: 3, failure }
}

/// Everything that is cached of the endpoints, fetched at `at`, and how long it may be believed.
fn everything_cached(at: FetchedAt) -> Vec<(&'static str, EndpointHealth, Duration)> {
    let well = EndpointHealth {
        asked: Some((at, true)),
        writer: writer(true, true, false),
        ..EndpointHealth::default()
    };
    let lags = |lag| EndpointHealth { lag, ..well.clone() };
    let unanswered = Some((at, false));
    vec![
        ("well", well.clone(), HEALTH_TTL),
        ("out", EndpointHealth { writer: writer(false, true, false), ..well.clone() }, HEALTH_TTL),
        ("lagging", lags(ReaderLag::Overdue), HEALTH_RETRY),
        ("copying", lags(ReaderLag::Copying), HEALTH_RETRY),
        ("unanswered", EndpointHealth { asked: unanswered, ..well.clone() }, HEALTH_RETRY),
        ("never answered", EndpointHealth { asked: unanswered, ..EndpointHealth::default() }, HEALTH_RETRY),
        (
            "out, and unanswered since",
            EndpointHealth {
                asked: unanswered,
                writer: writer(false, true, false),
                ..EndpointHealth::default()
            },
            HEALTH_RETRY,
        ),
        // The rest was asked just now.
        (
            "silent reader",
            EndpointHealth {
                asked: Some((FetchedAt::now(), true)),
                silence: Some((at, gone())),
                ..well.clone()
            },
            HEALTH_RETRY,
        ),
        ("reader that took too long", EndpointHealth { is_suspect: true, ..well.clone() }, Duration::ZERO),
        ("inverted", EndpointHealth { writer: writer(true, true, true), ..well }, Duration::ZERO),
    ]
}

const MOMENT: Duration = Duration::from_millis(100);

#[tokio::test(start_paused = true)]
async fn cached_health_is_believed_for_its_time_and_no_longer() {
    for index in 0..everything_cached(FetchedAt::now()).len() {
        let (name, health, ttl) = everything_cached(FetchedAt::now()).swap_remove(index);
        if ttl > Duration::ZERO {
            tokio::time::advance(ttl - MOMENT).await;
            assert!(!health.is_due(), "{name}: asked again too early");
            tokio::time::advance(MOMENT).await;
        }
        assert!(health.is_due(), "{name}: believed for too long");
    }
    assert!(EndpointHealth::default().is_due(), "nothing is known");
}

#[tokio::test]
async fn cached_health_grows_old_in_a_frozen_process() {
    for index in 0..everything_cached(FetchedAt::now()).len() {
        let frozen = |ago| everything_cached(FetchedAt::frozen(ago)).swap_remove(index);
        let (name, _, ttl) = frozen(Duration::ZERO);
        if ttl > Duration::ZERO {
            assert!(!frozen(ttl / 2).1.is_due(), "{name}: asked again too early");
        }
        assert!(frozen(ttl).1.is_due(), "{name}: believed for too long");
    }
}

#[test]
fn only_a_reader_that_nobody_hears_from_is_silent() {
    use ErrorClass::{
        Conflict, ConnectionLost, Constraint, Defect, Misconfigured, ReadOnly, Resuming, Throttled, Timeout,
        Unavailable, Undecodable,
    };
    use Execution::{DidNotRun, RanAndFailed, Unknown};
    use Silence::{Perhaps, Silent, Speaks};
    for (outcome, class, quick, slow) in [
        (Unknown, ConnectionLost, Silent, Silent),
        (DidNotRun, ConnectionLost, Silent, Silent),
        (DidNotRun, Unavailable, Silent, Silent),
        (Unknown, Unavailable, Silent, Silent),
        // What answers within milliseconds hangs; a list may be slow.
        (Unknown, Timeout, Silent, Perhaps),
        // There was no time to ask.
        (DidNotRun, Timeout, Perhaps, Perhaps),
        // The server itself gave it up.
        (RanAndFailed, Timeout, Speaks, Speaks),
        (DidNotRun, Resuming, Speaks, Speaks),
        (DidNotRun, Throttled, Speaks, Speaks),
        (RanAndFailed, Conflict, Speaks, Speaks),
        (RanAndFailed, ReadOnly, Speaks, Speaks),
        (DidNotRun, Misconfigured, Speaks, Speaks),
        (RanAndFailed, Constraint, Speaks, Speaks),
        (RanAndFailed, Defect, Speaks, Speaks),
        (Unknown, Undecodable, Speaks, Speaks),
    ] {
        let failure = Failure::new(outcome, class);
        assert_eq!((silence(&failure, true), silence(&failure, false)), (quick, slow), "{failure}");
    }
    // It is there, and has no room for another connection.
    let full = Failure::of_postgres(SqlState::parse("53300").unwrap(), "");
    assert_eq!(silence(&full, true), Speaks);
}

fn bypassed(health: &EndpointHealth, rule: &PurposeRule) -> Option<&'static str> {
    health.bypass(rule).map(|reason| match reason {
        BypassReason::ReaderOff => "off",
        BypassReason::ReaderLagging => "lagging",
        BypassReason::ReaderFailed(_) | BypassReason::BehindCaller => "other",
    })
}

#[test]
fn a_reader_that_lags_or_is_out_is_bypassed_for_each_purpose() {
    let health = |enabled, bounded, lag| EndpointHealth {
        writer: writer(enabled, bounded, false),
        lag,
        ..EndpointHealth::default()
    };
    let reading =
        PURPOSES.iter().filter(|rule| resort_past_bound(rule) == Some(crate::endpoint::Resort::Writer));
    let mut names = Vec::new();
    for rule in reading {
        names.push(rule.name);
        // Without a bound rows may be of any age. Hints have one all the same: they are there to find what is stuck.
        let unbounded = (rule.name == "StaleScan").then_some("lagging");
        for (enabled, bounded, lag, expected) in [
            (true, true, ReaderLag::Fresh, None),
            (true, true, ReaderLag::Overdue, Some("lagging")),
            (true, true, ReaderLag::Copying, Some("lagging")),
            (true, false, ReaderLag::Fresh, None),
            (true, false, ReaderLag::Overdue, unbounded),
            // Rows that are missing are not old.
            (true, false, ReaderLag::Copying, Some("lagging")),
            (false, true, ReaderLag::Fresh, Some("off")),
            (false, true, ReaderLag::Overdue, Some("off")),
            (false, false, ReaderLag::Copying, Some("off")),
        ] {
            let found = bypassed(&health(enabled, bounded, lag), rule);
            assert_eq!(found, expected, "{} {enabled} {bounded} {lag:?}", rule.name);
        }
        assert_eq!(bypassed(&EndpointHealth::default(), rule), None, "nothing is known");
    }
    assert_eq!(names, ["Status", "List", "Summary", "History", "StaleScan"]);
}

#[test]
fn only_the_writers_word_lets_the_reader_in() {
    let said = [None, writer(false, true, false), writer(true, true, false)];
    let is_in = said.map(|writer| EndpointHealth { writer, ..EndpointHealth::default() }.reader_is_in());
    assert_eq!(is_in, [false, false, true]);
}

#[test]
fn tells_what_the_two_are_to_each_other_where_that_is_new() {
    let mut health = EndpointHealth { writer: writer(true, true, false), ..EndpointHealth::default() };
    let told = ["2", "2", "1", "1", "2"].map(|server| {
        let identity = Identity { server: server.to_owned(), read_only: true };
        health.learn_reader(&Ok(ReaderStatus { identity, heartbeat: 8, is_copying: false }))
    });
    let (distinct, collapsed) = (Some(Relation::Distinct), Some(Relation::Collapsed));
    assert_eq!(told, [distinct, None, collapsed, None, distinct]);
}
