//! `local lag`: the running stack's replica.

use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use local::StackFile;
use local::postgres_pair::replay;

/// Make the running stack's reader stale, or let it catch up.
#[derive(Args)]
pub(crate) struct Lag {
    /// `pause`, `resume`, or for how many milliseconds the reader shows each commit later (0: none).
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    Pause,
    Resume,
    Milliseconds(u64),
}

#[derive(Debug)]
struct NotALag;

impl std::error::Error for NotALag {}

impl std::fmt::Display for NotALag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("expected pause, resume or a number of milliseconds")
    }
}

impl FromStr for What {
    type Err = NotALag;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "pause" => Ok(Self::Pause),
            "resume" => Ok(Self::Resume),
            number => number.parse().map(Self::Milliseconds).map_err(|_| NotALag),
        }
    }
}

impl Lag {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let reader = StackFile::read()?.reader_dsn;
        match self.what {
            What::Pause => replay::pause(&reader).await?,
            What::Resume => replay::resume(&reader).await?,
            What::Milliseconds(milliseconds) => {
                replay::delay(&reader, Duration::from_millis(milliseconds)).await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
