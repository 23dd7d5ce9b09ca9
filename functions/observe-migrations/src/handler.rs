//! On a schedule: says how everything stands, as metrics and as one log line.

use std::{convert::Infallible, io::Write, sync::Arc};

use shared::{
    driver::{Lag, Observation, Observer},
    runtime::Budget,
    store::Census,
    telemetry::MetricNamespace,
    telemetry::as_text,
};

use crate::metrics::metric_lines;

/// What the handler works with, made once per process.
pub struct Deps {
    /// Both endpoints.
    pub observer: Observer,
    /// Where CloudWatch keeps the metrics.
    pub namespace: MetricNamespace,
}

/// One look at everything.
///
/// # Errors
/// None: that an endpoint does not answer is what this is there to say.
pub async fn handle(deps: Arc<Deps>, budget: Budget) -> Result<Observation, Infallible> {
    let observation = deps.observer.observe(budget.deadline()).await;
    let mut lines = metric_lines(&deps.namespace, jiff::Timestamp::now(), &observation).join("\n");
    lines.push('\n');
    if let Err(error) = std::io::stdout().lock().write_all(lines.as_bytes()) {
        tracing::error!(%error, "the metrics cannot be written");
    }
    log(&observation);
    Ok(observation)
}

fn log(observation: &Observation) {
    let lag_ms = match observation.lag {
        Lag::Seen { milliseconds } | Lag::NotSeen { milliseconds } => Some(milliseconds),
        Lag::Unknown => None,
    };
    let census = observation.counted.as_ref().map(|counted| &counted.census);
    let text = |of: &dyn Fn(&Census) -> serde_json::Value| census.map(|census| of(census).to_string());
    tracing::info!(
        served_by = observation.counted.as_ref().map(|counted| counted.served_by),
        states = text(&|census| serde_json::json!(census.states)),
        skips = text(&|census| serde_json::json!(census.skips)),
        slots_used = census.map(|census| census.slots.used),
        capacity = census.map(|census| census.slots.capacity),
        retries = census.map(|census| census.retries.counted),
        transitions_per_minute = census.map(|census| census.transitions_per_minute),
        stuck = census.map(|census| census.stuck.count),
        oldest_stuck_seconds = census.and_then(|census| census.stuck.oldest_seconds),
        left = census.map(|census| census.left),
        seconds_left = census.and_then(|census| census.seconds_left),
        lag_ms,
        lag = as_text(&observation.lag),
        reader_past_bound = observation.past_bound,
        reader_failed = observation.reader_failed,
        writer_failed = observation.writer_failed,
        "observed"
    );
}
