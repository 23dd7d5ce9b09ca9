//! Logs and metrics: one JSON object a line on standard output.

mod emf;
mod fields;
mod level;
mod lines;
mod panic;

use tracing::{Subscriber, subscriber::SetGlobalDefaultError};
use tracing_subscriber::{
    Layer,
    filter::{FilterExt, Targets, filter_fn},
    fmt::MakeWriter,
    layer::SubscriberExt,
};

pub use emf::{Dimension, InvalidNamespace, Metric, MetricNamespace, Unit, embedded_metrics};
pub use fields::as_text;
pub use level::{InvalidLogLevel, LogLevel};
use lines::JsonLines;

/// Logging cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `LOG_LEVEL` is none of the levels.
    #[error("LOG_LEVEL is wrong: {0}")]
    Level(#[from] InvalidLogLevel),
    /// It has begun already.
    #[error("logging has begun already")]
    Begun(#[from] SetGlobalDefaultError),
}

/// Begins logging for the function `function`, at the level that `log_level` (the variable `LOG_LEVEL`) names,
/// `info` when it is not given; a panic becomes a log line too. What is counted (the field `counter`) is written at every
/// level: alarms are raised by it.
///
/// # Errors
/// [`TelemetryError`] when the level is none or logging has begun already.
pub fn init(function: &'static str, log_level: Option<&str>) -> Result<(), TelemetryError> {
    let level = log_level.filter(|text| !text.is_empty()).map_or(Ok(LogLevel::default()), str::parse)?;
    tracing::subscriber::set_global_default(subscriber(function, level, std::io::stdout))?;
    panic::log_panics();
    Ok(())
}

/// What [`init`] installs, writing elsewhere.
pub fn subscriber<W>(function: &'static str, level: LogLevel, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // Below warning, the libraries under us write down whole events and requests: with their secrets.
    let ours = level.filter();
    let targets = Targets::new()
        .with_default(level.filter().min(tracing::level_filters::LevelFilter::WARN))
        .with_target("shared", ours)
        .with_target(function.replace('-', "_"), ours);
    // Alarms count these lines, whatever level is wanted.
    let name = function.replace('-', "_");
    let counted = filter_fn(move |metadata| {
        let target = metadata.target().split("::").next().unwrap_or_default();
        metadata.fields().field("counter").is_some() && (target == "shared" || target == name)
    });
    tracing_subscriber::registry().with(JsonLines::new(function, writer).with_filter(targets.or(counted)))
}

#[cfg(test)]
pub(crate) mod capture;
#[cfg(test)]
mod tests;
