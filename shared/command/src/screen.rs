//! What a run shows while it works: a line that changes on a terminal, a line each ten seconds elsewhere.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{DecimalBytes, ProgressBar, ProgressStyle};
use tokio::time::Instant;

use crate::forecast::{Amount, Forecast, in_words};

/// How often a line is written where there is no terminal.
const LINE: Duration = Duration::from_secs(10);

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Repositories that were asked for.
    pub repositories: u64,
    /// Of these, complete.
    pub complete: u64,
    /// Of these, failed.
    pub failed: u64,
    /// What is done.
    pub done: Amount,
    /// What there is to do, as far as it is known.
    pub known: Amount,
}

/// How far it is, in one line. `per_second`: bytes; `left`: None where nobody can tell.
#[must_use]
pub fn line(standing: &Standing, per_second: Option<u64>, left: Option<Duration>) -> String {
    let Standing { repositories, complete, failed, done, known } = standing;
    let mut line = format!(
        "{complete} of {repositories} repositories, {} of {}",
        DecimalBytes(done.bytes),
        DecimalBytes(known.bytes.max(done.bytes))
    );
    if let Some(per_second) = per_second {
        line += &format!(", {}/s", DecimalBytes(per_second));
    }
    if let Some(left) = left {
        line += &format!(", about {} left", in_words(left));
    }
    if *failed > 0 {
        line += &format!("; {failed} failed");
    }
    line
}

/// Where it is shown.
pub struct Screen {
    began: Instant,
    forecast: Forecast,
    moved: Forecast,
    shown: Shown,
}

enum Shown {
    Terminal(ProgressBar),
    Lines(Option<Instant>),
}

impl Default for Screen {
    fn default() -> Self {
        Self::new(std::io::stderr().is_terminal())
    }
}

impl Screen {
    fn new(is_terminal: bool) -> Self {
        let shown = if is_terminal {
            let bar = ProgressBar::new(0);
            let style = ProgressStyle::with_template("{bar:30} {percent:>3}%  {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            Shown::Terminal(bar)
        } else {
            Shown::Lines(None)
        };
        Self { began: Instant::now(), forecast: Forecast::default(), moved: Forecast::default(), shown }
    }

    /// Shows how far it is.
    pub fn show(&mut self, standing: &Standing) {
        let now = self.began.elapsed();
        self.forecast.see(now, standing.done);
        self.moved.see(now, Amount { bytes: standing.done.bytes, items: 0 });
        let left = Amount {
            bytes: standing.known.bytes.saturating_sub(standing.done.bytes),
            items: standing.known.items.saturating_sub(standing.done.items),
        };
        let line = line(standing, self.moved.bytes_per_second(), self.forecast.left(left));
        match &mut self.shown {
            Shown::Terminal(bar) => {
                bar.set_length(standing.known.effort().max(1));
                bar.set_position(standing.done.effort());
                bar.set_message(line);
            }
            Shown::Lines(last) if last.is_none_or(|last| last.elapsed() >= LINE) => {
                *last = Some(Instant::now());
                note(&line);
            }
            Shown::Lines(_) => {}
        }
    }

    /// Shows how far something else is, in words. Of all: 0 where nobody knows.
    pub fn step(&mut self, done: u64, all: u64, text: &str) {
        match &mut self.shown {
            Shown::Terminal(bar) => {
                bar.set_length(all);
                bar.set_position(done);
                bar.set_message(text.to_owned());
            }
            Shown::Lines(last) if last.is_none_or(|last| last.elapsed() >= LINE) => {
                *last = Some(Instant::now());
                note(text);
            }
            Shown::Lines(_) => {}
        }
    }

    /// Writes a line that stays, above what changes.
    pub fn say(&self, text: &str) {
        match &self.shown {
            Shown::Terminal(bar) => bar.suspend(|| note(text)),
            Shown::Lines(_) => note(text),
        }
    }

    /// Takes away what changes.
    pub fn clear(&self) {
        if let Shown::Terminal(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

/// Writes a line to standard error. Where nobody reads it there is nobody to be told.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Standing, line};
    use crate::forecast::Amount;

    #[test]
    fn shows_repositories_bytes_and_the_time_left() {
        let standing = Standing {
            repositories: 40,
            complete: 12,
            failed: 0,
            done: Amount { bytes: 1_200_000_000, items: 3 },
            known: Amount { bytes: 3_400_000_000, items: 9 },
        };
        let told = line(&standing, Some(45_000_000), Some(Duration::from_secs(130)));
        assert_eq!(told, "12 of 40 repositories, 1.20 GB of 3.40 GB, 45.00 MB/s, about 2 min left");
        let failed = Standing { failed: 1, ..standing };
        assert_eq!(line(&failed, None, None), "12 of 40 repositories, 1.20 GB of 3.40 GB; 1 failed");
        // More than was planned is no reason to say nonsense.
        let more = Standing { known: Amount::default(), ..standing };
        assert_eq!(line(&more, None, None), "12 of 40 repositories, 1.20 GB of 1.20 GB");
    }
}
