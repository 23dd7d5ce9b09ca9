use std::{future::Future, process::ExitCode};

use lambda_http::Error;

use crate::{startup, telemetry};

/// A function's process from beginning to end: logs, then `run`. What ends it early is a log line and a
/// failure of the process, so that the platform sees it too.
pub async fn process<F>(function: &'static str, run: F) -> ExitCode
where
    F: Future<Output = Result<(), Error>>,
{
    startup::begin();
    let level = std::env::var("LOG_LEVEL").ok();
    if let Err(error) = telemetry::init(function, level.as_deref()) {
        // There is no log to write this to yet.
        eprintln!("{function}: {error}");
        return ExitCode::FAILURE;
    }
    match run.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the function cannot run");
            ExitCode::FAILURE
        }
    }
}
