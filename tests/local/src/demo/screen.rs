//! Live progress: bars at a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::time::Instant;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use local::output::say;

use super::rows::{Progress, Row};

/// Where progress is shown.
pub(crate) enum Screen {
    /// At a terminal.
    Bars(Box<Bars>),
    /// A line per change, for a file or a pipe.
    Lines(Lines),
}

pub(crate) struct Bars {
    all: MultiProgress,
    writer: ProgressBar,
    reader: ProgressBar,
    states: ProgressBar,
    repositories: BTreeMap<String, ProgressBar>,
}

pub(crate) struct Lines {
    began: Instant,
    seen: BTreeMap<String, String>,
}

impl Screen {
    pub(crate) fn new(repositories: usize, began: Instant) -> anyhow::Result<Self> {
        let all = MultiProgress::new();
        if all.is_hidden() {
            return Ok(Self::Lines(Lines { began, seen: BTreeMap::new() }));
        }
        let total = u64::try_from(repositories)?;
        let bar = |colour: &str, name: &'static str| -> anyhow::Result<ProgressBar> {
            let style = format!("{{msg:20}} {{bar:40.{colour}}} {{pos:>3}}/{{len}}  {{elapsed}}");
            let bar =
                ProgressBar::new(total).with_style(ProgressStyle::with_template(&style)?).with_message(name);
            Ok(all.add(bar))
        };
        let writer = bar("green", "migrated (writer)")?;
        let reader = bar("yellow", "as the reader shows")?;
        let states = all.add(ProgressBar::new(1).with_style(ProgressStyle::with_template("  {msg}")?));
        Ok(Self::Bars(Box::new(Bars { all, writer, reader, states, repositories: BTreeMap::new() })))
    }

    pub(crate) fn show(&mut self, progress: &Progress) -> anyhow::Result<()> {
        match self {
            Self::Bars(bars) => {
                bars.show(progress);
                Ok(())
            }
            Self::Lines(lines) => lines.show(progress),
        }
    }

    /// A line of its own, which stays.
    pub(crate) fn say(&self, line: &str) -> anyhow::Result<()> {
        match self {
            Self::Bars(bars) => Ok(bars.all.println(line)?),
            Self::Lines(lines) => say(format_args!("{:6.1} s  {line}", lines.began.elapsed().as_secs_f64())),
        }
    }

    pub(crate) fn finish(self) {
        match self {
            Self::Bars(bars) => {
                for bar in bars.repositories.into_values().chain([bars.states]) {
                    bar.finish_and_clear();
                }
                bars.writer.abandon();
                bars.reader.abandon();
            }
            Self::Lines(_) => {}
        }
    }
}

impl Bars {
    fn show(&mut self, progress: &Progress) {
        self.writer.set_position(progress.ended().try_into().unwrap_or(u64::MAX));
        self.reader.set_position(progress.ended_on_the_reader.try_into().unwrap_or(u64::MAX));
        self.states.set_message(counts(progress));
        for (path, row) in &progress.rows {
            if row.is_in_progress() {
                self.line(path).set_message(row.state.clone());
            } else if let Some(line) = self.repositories.remove(path) {
                line.finish_and_clear();
            }
        }
    }

    fn line(&mut self, path: &str) -> &ProgressBar {
        let all = &self.all;
        self.repositories.entry(path.to_owned()).or_insert_with(|| {
            let style = ProgressStyle::with_template("  {spinner} {prefix:40!} {msg:16} {elapsed}");
            let line = all.add(ProgressBar::new_spinner().with_prefix(path.to_owned()));
            line.enable_steady_tick(std::time::Duration::from_millis(100));
            match style {
                Ok(style) => line.with_style(style),
                Err(_) => line,
            }
        })
    }
}

impl Lines {
    fn show(&mut self, progress: &Progress) -> anyhow::Result<()> {
        let elapsed = self.began.elapsed().as_secs_f64();
        for (path, Row { state, .. }) in &progress.rows {
            let before = self.seen.insert(path.clone(), state.clone());
            let before = before.as_deref().unwrap_or("default");
            if before != state {
                say(format_args!(
                    "{elapsed:6.1} s  {:3}/{}  {path}: {before} -> {state}",
                    progress.ended(),
                    progress.rows.len()
                ))?;
            }
        }
        Ok(())
    }
}

fn counts(progress: &Progress) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in progress.rows.values() {
        *counts.entry(&row.state).or_default() += 1;
    }
    counts.iter().map(|(state, count)| format!("{state} {count}")).collect::<Vec<_>>().join("   ")
}
