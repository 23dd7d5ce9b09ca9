use std::str::FromStr;

use tracing::level_filters::LevelFilter;

/// The text is no log level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of off, error, warn, info, debug, trace")]
pub struct InvalidLogLevel(String);

/// The least severe lines that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLevel(LevelFilter);

impl LogLevel {
    pub(super) fn filter(self) -> LevelFilter {
        self.0
    }
}

impl Default for LogLevel {
    fn default() -> Self {
        Self(LevelFilter::INFO)
    }
}

impl FromStr for LogLevel {
    type Err = InvalidLogLevel;

    /// Reads a level in either case. (`LevelFilter`'s own reading takes numbers too.)
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let filter = match text.to_ascii_lowercase().as_str() {
            "off" => LevelFilter::OFF,
            "error" => LevelFilter::ERROR,
            "warn" => LevelFilter::WARN,
            "info" => LevelFilter::INFO,
            "debug" => LevelFilter::DEBUG,
            "trace" => LevelFilter::TRACE,
            _ => return Err(InvalidLogLevel(text.to_owned())),
        };
        Ok(Self(filter))
    }
}
