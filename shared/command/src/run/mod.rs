//! `run`: the plan, the copy, the proof.

mod comparing;
mod inventory;
mod limiting;
mod proving;
mod registries;
mod serving;
mod watching;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use importer::{FolderCache, Importer, Stop, Tuning, Wiring};
use oci::{Access, Name};
use postgres_server::Durable;
use tokio::time::Instant;

use crate::arguments::{MigrationArguments, RunArguments};
use crate::database;
use crate::exit::{Exit, Tally};
use crate::names::Rules;
use crate::screen::{Screen, note};
use crate::signals::Signals;
use crate::state::StateDirectory;
use crate::{plan, state};

pub use comparing::drift;
pub use serving::serve;

use inventory::Speeds;
use proving::Span;
use registries::{Registries, Side};

/// How long an orderly end may take: the part in flight is finished and stored.
const TO_END: Duration = Duration::from_secs(8);

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The caller asked for what cannot be.
    #[error("{0}")]
    Usage(String),
    /// A registry or the state cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// Ended before anything was copied.
    #[error("ended before anything was copied")]
    Ended,
    /// Ended in the middle by what it works with.
    #[error("{0}")]
    Interrupted(String),
}

impl RunError {
    fn usage(error: impl ToString) -> Self {
        Self::Usage(error.to_string())
    }

    fn unusable(error: impl ToString) -> Self {
        Self::Unusable(error.to_string())
    }

    fn without_database() -> Self {
        Self::Interrupted(
            "the database's server has ended: start this again, and it goes on from what was committed"
                .to_owned(),
        )
    }

    /// What the exit status says.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Unusable(_) => Exit::Unusable,
            Self::Ended | Self::Interrupted(_) => Exit::Unfinished,
        }
    }
}

/// What both commands work with.
struct Opened {
    directory: StateDirectory,
    registries: Registries,
    rules: Rules,
    names: Vec<(Name, Name)>,
    excluded: usize,
    unreadable: Vec<String>,
    server: Durable,
    importer: Importer,
}

/// What is done with the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// It is read alone, so that it does not matter what kind of registry it is.
    Read,
    /// It is written.
    Written,
}

/// Asks both registries who they are, lists what goes, and opens the state.
async fn open(
    arguments: &MigrationArguments,
    target: Target,
    signals: &mut Signals,
) -> Result<Opened, RunError> {
    let (from, to) = registries::addresses(arguments)?;
    let between = state::Between { from: from.clone(), to: to.clone() };
    let logins = registries::logins(arguments, &from, &to).await?;
    let directory = StateDirectory::open(&arguments.state, &between).map_err(RunError::unusable)?;
    crate::log::begin(&directory.file(crate::log::FILE)).map_err(RunError::unusable)?;
    let limits = limiting::begin(&directory, &arguments.limits)?;
    let Some(registries) = signals.or(Registries::connect(arguments, from, to, logins, limits)).await else {
        return Err(RunError::Ended);
    };
    let mut registries = registries?;
    let rules = Rules {
        only: arguments.only.clone(),
        exclude: arguments.exclude.clone(),
        rename: arguments.rename.clone(),
    };
    let Some(chosen) = signals.or(registries.choose(&rules)).await else { return Err(RunError::Ended) };
    let (names, excluded, unreadable) = chosen?;
    if let (Target::Written, Some((_, target))) = (target, names.first()) {
        registries.recognise(arguments, target).await?;
    }
    let opened = signals.or(database::open(&directory.database())).await.ok_or(RunError::Ended)?;
    let (server, writer) = opened.map_err(|error| RunError::Unusable(format!("{error:#}")))?;
    let cache = FolderCache::open(&directory.manifests()).map_err(RunError::unusable)?;
    let delete_removed = arguments.delete_removed;
    let tuning = Tuning { capacity: arguments.capacity, delete_removed, ..Tuning::default() };
    let importer = Importer::new(Wiring {
        writer,
        source: registries.source.clone(),
        target: registries.target.clone(),
        cache: Arc::new(cache),
        tuning,
    });
    Ok(Opened { directory, registries, rules, names, excluded, unreadable, server, importer })
}

/// Runs.
///
/// # Errors
/// [`RunError`] when it could not even begin, or not go on.
pub async fn run(arguments: RunArguments, signals: &mut Signals) -> Result<Exit, RunError> {
    let opened = open(&arguments.migration, Target::Written, signals).await?;
    let Opened { directory, registries, names, excluded, unreadable, server, importer, .. } = opened;
    let migration =
        Migration { arguments: &arguments, directory: &directory, registries: &registries, importer, names };
    let done = tokio::select! {
        done = migration.go(excluded, unreadable, signals) => done,
        () = server.ended() => Err(RunError::without_database()),
    };
    close(server).await;
    done
}

async fn close(server: Durable) {
    if let Err(error) = server.close().await {
        note(&format!(
            "the database could not be closed in an orderly way; it recovers by itself: {error:#}"
        ));
    }
}

/// All that a run works with once it has begun.
struct Migration<'a> {
    arguments: &'a RunArguments,
    directory: &'a StateDirectory,
    registries: &'a Registries,
    importer: Importer,
    names: Vec<(Name, Name)>,
}

impl Migration<'_> {
    async fn go(
        &self,
        excluded: usize,
        unreadable: Vec<String>,
        signals: &mut Signals,
    ) -> Result<Exit, RunError> {
        self.importer.prepare(true).await.map_err(RunError::unusable)?;
        let mut screen = Screen::default();
        let speeds = Speeds::of(self.directory, self.registries)?;
        let planned = signals.or(self.plan(excluded, &unreadable, speeds, &mut screen)).await;
        screen.clear();
        let (view, totals) = planned.ok_or(RunError::Ended)??;
        let text = plan::text(&view);
        say(&text)?;
        state::write_json(&self.directory.file("plan.json"), &view).map_err(RunError::unusable)?;
        if self.arguments.dry_run {
            return Ok(if view.problems.is_empty() { Exit::Done } else { Exit::Loss });
        }
        let stop = Stop::new();
        let (began, began_at) = (Instant::now(), jiff::Timestamp::now());
        let outcome = {
            let copying = self.importer.run(&self.names, &stop);
            tokio::pin!(copying);
            let watching = self.watch(&totals, &mut screen);
            tokio::select! {
                report = &mut copying => Some(report),
                never = watching => match never {},
                () = signals.received() => {
                    note("Ending: what is in flight is finished and stored. Once more ends it at once.");
                    stop.now();
                    tokio::select! {
                        report = &mut copying => Some(report),
                        () = tokio::time::sleep(TO_END) => None,
                        () = signals.received() => None,
                    }
                }
            }
        };
        screen.clear();
        let Some(report) = outcome else { return Ok(Exit::Unfinished) };
        let report = report.map_err(RunError::unusable)?;
        speeds.remember(self.directory, self.importer.counters().bytes_sent, began.elapsed());
        let (mut tally, span) = self.write_proof(&report, began_at).await?;
        tally.problems += u64::try_from(unreadable.len()).unwrap_or(u64::MAX);
        if self.arguments.verify_blobs && !tally.stopped {
            match signals.or(self.verify(&mut screen)).await {
                Some(problems) => tally.problems += problems?,
                None => tally.stopped = true,
            }
            screen.clear();
        }
        self.tell(&tally, span.as_ref(), began.elapsed())?;
        Ok(tally.exit())
    }

    fn tell(&self, tally: &Tally, span: Option<&Span>, took: Duration) -> Result<(), RunError> {
        let counted = self.importer.counters();
        let proof = self.directory.file(crate::proof::NDJSON);
        let (took, proof) = (crate::forecast::in_words(took), proof.display());
        let sent = indicatif::DecimalBytes(counted.bytes_sent);
        say(&format!(
            "{} of {} repositories are complete, {} tags are equal, {} are not, {} problems. {sent} sent in {took}. Proof: {proof}",
            tally.complete, tally.repositories, tally.equal, tally.unequal, tally.problems
        ))?;
        if let Some(Span { first, last }) = span {
            say(&format!(
                "Compared from {first} to {last}: what was pushed to a repository after its comparison is not in it."
            ))?;
        }
        if counted.begun_anew > 0 {
            say(&format!("{} uploads were lost by the target and begun anew.", counted.begun_anew))?;
        }
        match tally.exit() {
            Exit::Done if !self.arguments.verify_blobs => say(
                "The proof read every tag and manifest back from the target; --verify-blobs reads its layers too.",
            ),
            Exit::Done | Exit::Usage | Exit::Unusable => Ok(()),
            Exit::Loss => say(
                "Something is missing: the proof says what, and why. A run with the same state tries it again.",
            ),
            Exit::Unfinished => {
                say("Ended before it was done: start it again with the same state, and it goes on.")
            }
        }
    }
}

/// Writes to standard output.
fn say(text: &str) -> Result<(), RunError> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{text}")
        .map_err(|error| RunError::Unusable(format!("cannot write to standard output: {error}")))
}

/// Changes the limits of a run.
///
/// # Errors
/// [`RunError`] where there is no such state, or nothing was said.
pub fn limit(folder: &Path, said: &crate::limits::LimitArguments) -> Result<Exit, RunError> {
    limiting::change(folder, said)
}

/// How a side is named in messages.
impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::From => "the source",
            Self::To => "the target",
        })
    }
}

/// What is asked of each registry.
const fn access(side: Side) -> Access {
    match side {
        Side::From => Access::Pull,
        Side::To => Access::Push,
    }
}
