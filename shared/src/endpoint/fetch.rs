use std::{sync::Mutex, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::{
    Call, Effect, EndpointError, ErrorClass, Execution, Failure, Repeat, Statement, Transport, Writer,
};
use crate::{lock::lock, migration::foreign};

/// The pauses between two sendings of a statement: doubling, each up to twice as long by chance.
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(20))
    .with_max_delay(Duration::from_secs(1))
    .with_factor(2.0)
    .without_max_times()
    .with_jitter();

/// What the last sending has at least.
const LAST_SENDING: Duration = Duration::from_millis(500);

/// How often a statement is sent again at most.
#[derive(Clone, Copy, Debug)]
pub(super) enum Again {
    /// Until the deadline: there is nobody else to ask.
    UntilTheDeadline,
    /// Twice: then the writer is asked, or the round does without.
    Twice,
}

/// The longest part of a decoding error that is kept, in characters.
const DECODING_DETAIL: usize = 200;

/// What is known after some sendings.
#[derive(Default)]
struct Sendings {
    count: u32,
    one_is_unknown: bool,
    /// Nobody knows whether it ran, and it may well have: the database was there.
    one_may_have_run: bool,
}

/// Sends a statement, again while that is safe and the deadline allows, and decodes its rows.
pub(super) async fn fetch<T: DeserializeOwned, E: Effect>(
    endpoint: &'static str,
    transport: &dyn Transport,
    statement: &Statement<E>,
    again: Again,
    deadline: Instant,
) -> Result<Vec<T>, EndpointError> {
    let pauses = match again {
        Again::UntilTheDeadline => PAUSES,
        Again::Twice => PAUSES.with_max_times(2),
    };
    let started = Instant::now();
    let sendings = Mutex::new(Sendings::default());
    let known = || lock(&sendings);

    let send = || async {
        let now = Instant::now();
        if now >= deadline {
            return Err(Failure::new(Execution::DidNotRun, ErrorClass::Timeout));
        }
        known().count += 1;
        let until = statement.limit().map_or(deadline, |limit| deadline.min(now + limit));
        let call = Call { name: statement.name(), sql: statement.sql(), parameters: statement.parameters() };
        // Neither the SDK nor a server ends a call in time by itself.
        let result = timeout_at(until, transport.execute(call, until)).await.unwrap_or_else(|_elapsed| {
            transport.forget_connections();
            Err(Failure::new(Execution::Unknown, ErrorClass::Timeout))
        });
        let result = result.map_err(|failure| match statement.repeat() {
            Repeat::Allowed if failure.is_of_a_known_change() => {
                Failure { class: ErrorClass::Conflict, ..failure }
            }
            Repeat::Allowed | Repeat::Never => failure,
        });
        if let Err(failure) = &result
            && failure.outcome == Execution::Unknown
        {
            let mut known = known();
            known.one_is_unknown = true;
            known.one_may_have_run |= !failure.is_an_outage();
        }
        result
    };
    let rows = send
        .retry(pauses)
        .when(|failure| may_be_sent_again(statement.repeat(), again, failure))
        .adjust(|_, pause| fit(pause?, deadline.saturating_duration_since(Instant::now())))
        .await;
    let result = rows.and_then(|rows| decode(&rows));

    let Sendings { count: attempts, one_is_unknown, one_may_have_run } = std::mem::take(&mut *known());
    let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    match result {
        Ok(rows) => {
            tracing::debug!(
                endpoint,
                statement = statement.name(),
                outcome = "answered",
                rows = rows.len(),
                attempts,
                elapsed_ms,
                "statement sent"
            );
            Ok(rows)
        }
        Err(mut failure) => {
            if one_is_unknown {
                failure.outcome = Execution::Unknown;
            }
            let error = EndpointError { endpoint, statement: statement.name(), attempts, failure };
            if error.outcome() == Execution::Unknown && endpoint == Writer::NAME {
                // Rows that cannot be read came after the last sending.
                if one_may_have_run || error.failure.class == ErrorClass::Undecodable {
                    tracing::warn!(%error, counter = "outcome_unknown", "nobody knows whether a statement ran");
                } else {
                    tracing::warn!(%error, "the database is not there");
                }
            }
            tracing::debug!(
                endpoint,
                statement = error.statement,
                outcome = %error.outcome(),
                error = %error.failure,
                attempts,
                elapsed_ms,
                "statement sent"
            );
            Err(error)
        }
    }
}

/// The pause, shortened where it would leave less than the last sending needs of what is left until the deadline.
/// None: it would last until the deadline.
fn fit(pause: Duration, left: Duration) -> Option<Duration> {
    let pause = if left > LAST_SENDING { pause.min(left - LAST_SENDING) } else { pause };
    (pause < left).then_some(pause)
}

/// Whether a statement may be sent again after a failure: one that may succeed later, and that either surely
/// changed nothing or may be repeated. A writer that is read-only is failing over; a reader that is asked to write
/// stays what it is.
fn may_be_sent_again(repeat: Repeat, again: Again, failure: &Failure) -> bool {
    let safe = match (failure.outcome, repeat) {
        (Execution::DidNotRun | Execution::RanAndFailed, _) | (Execution::Unknown, Repeat::Allowed) => true,
        (Execution::Unknown, Repeat::Never) => false,
    };
    let passes = match (failure.class, again) {
        (ErrorClass::ReadOnly, Again::UntilTheDeadline) => true,
        (class, _) => class.is_transient(),
    };
    safe && passes
}

/// Decodes rows of one JSON document each. A statement that gave rows ran, but as a write it has no outcome
/// that could be told, hence `Unknown`.
fn decode<T: DeserializeOwned>(rows: &[String]) -> Result<Vec<T>, Failure> {
    let document = |(index, row): (usize, &String)| {
        let mut json = serde_json::Deserializer::from_str(row);
        let decoded = serde_path_to_error::deserialize(&mut json).map_err(|error| error.to_string());
        let whole = decoded.and_then(|value| json.end().map(|()| value).map_err(|error| error.to_string()));
        whole.map_err(|error| {
            let reason = foreign::keep_first(&error, DECODING_DETAIL);
            Failure::new(Execution::Unknown, ErrorClass::Undecodable)
                .with_detail(format!("row {index}: {reason}"))
        })
    };
    rows.iter().enumerate().map(document).collect()
}
