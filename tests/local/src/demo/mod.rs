//! `local demo`: a whole registry is migrated while the replica lags behind, watched live and checked after.

mod calls;
mod report;
mod rows;
mod screen;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::Args;
use local::local_registry::StepTime;
use local::local_registry::storage::{Storage, write_sample};
use local::{Client, RegistryChoice, Stack, StackOptions};

use crate::signals::Signals;
use crate::up::keep;
use report::Report;
use rows::{Progress, Watch};
use screen::Screen;

const CAPACITY: u16 = 8;
/// So many are started by an operator's request; the chain and the schedule do the rest.
const STARTED_BY_REQUEST: usize = 4;
const TICK: Duration = Duration::from_secs(1);
const GLANCE: Duration = Duration::from_millis(100);
/// The demo gives up when nothing has changed for so long.
const PATIENCE: Duration = Duration::from_secs(90);

/// Migrate a whole registry and show that no notification is lost to a stale replica.
#[derive(Args)]
pub(crate) struct Demo {
    /// The registry storage to migrate (what holds `docker/registry/v2`); it is only read. Without it one is
    /// made that holds real images.
    #[arg(long, value_name = "DIR")]
    storage: Option<PathBuf>,
    /// How many container repositories to make without --storage.
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u16).range(1..))]
    repositories: u16,
    /// How much later than the writer the reader shows a commit, in milliseconds.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 1500)]
    lag: u64,
    /// How long each import takes at least, in milliseconds; 0 is as fast as the disk.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    step_time: u64,
    /// Leave the stack running afterwards and say how to call it.
    #[arg(long)]
    keep: bool,
}

impl Demo {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let mut signals = Signals::take()?;
        if let Some(storage) = &self.storage {
            ensure!(
                !Storage::new(storage).repositories()?.is_empty(),
                "{} holds no container repository (docker/registry/v2/repositories)",
                storage.display()
            );
        }
        eprintln!(
            "Starting PostgreSQL twice, the Data API, the registry, and the functions under cargo lambda …"
        );
        let Some(stack) = signals.or(Stack::start(self.options())).await else {
            return Ok(ExitCode::from(130));
        };
        let stack = stack?;
        let Some(report) = signals.or(self.migrate(&stack)).await else {
            stack.stop().await?;
            return Ok(ExitCode::from(130));
        };
        let report = report?;
        report.print();
        if self.keep {
            calls::print(&stack.describe().await, report.a_path());
            keep(&stack, &mut signals).await?;
        }
        stack.stop().await?;
        Ok(if report.held() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn options(&self) -> StackOptions {
        let step = Duration::from_millis(self.step_time);
        StackOptions {
            registry: RegistryChoice::Local {
                old_storage: self.storage.clone(),
                new_storage: None,
                max_concurrent_imports: CAPACITY.into(),
                step_time: StepTime { pre: step, r#final: step },
            },
            witness: true,
            capacity: CAPACITY.into(),
            lag: Duration::from_millis(self.lag),
            ..StackOptions::default()
        }
    }

    async fn migrate(&self, stack: &Stack) -> anyhow::Result<Report> {
        let storage = stack.old_storage()?;
        if self.storage.is_none() {
            let (storage, count) = (storage.clone(), self.repositories.into());
            tokio::task::spawn_blocking(move || write_sample(&storage, count)).await??;
        }
        let paths = storage.repositories()?;
        stack.register(&paths).await?;
        // Lag is wanted for what happens from now on: the list itself is known everywhere.
        stack.pair().wait_until_replayed().await?;
        eprintln!(
            "{} container repositories; the replica shows each commit {} ms late.\n",
            paths.len(),
            self.lag
        );

        let began = Instant::now();
        start_some(&stack.client(), &paths).await?;
        let ticker = stack.tick_every(TICK);
        let ended = watch(stack, paths.len(), began).await?;
        let took = began.elapsed();
        drop(ticker);
        Report::make(stack, self.lag > 0, ended, took).await.context("checking what was migrated")
    }
}

/// Starts the last ones of the list by request: the chain that every finished import continues comes there last.
/// In a short list it may be there already, which the function answers with 409, or have taken every slot: 429.
async fn start_some(client: &Client, paths: &[String]) -> anyhow::Result<()> {
    let mut started = 0;
    for path in paths.iter().rev().take(STARTED_BY_REQUEST) {
        let answer = client.start(path).await?;
        match answer.status().as_u16() {
            202 => started += 1,
            409 | 429 => {}
            status => bail!("starting {path}: {status} {}", answer.text().await?),
        }
    }
    ensure!(started > 0, "no container repository could be started by request");
    Ok(())
}

/// Shows how it goes until every repository has come to an end, or nothing moves any more.
async fn watch(stack: &Stack, repositories: usize, began: Instant) -> anyhow::Result<Progress> {
    let watch = Watch::start(stack.pair()).await?;
    let mut screen = Screen::new(repositories, began)?;
    let mut last = Progress::default();
    let mut changed = Instant::now();
    loop {
        let progress = watch.look().await?;
        if !progress.is_same_as(&last) {
            changed = Instant::now();
        }
        screen.show(&progress);
        last = progress;
        if last.ended() == repositories || changed.elapsed() > PATIENCE {
            screen.finish();
            return Ok(last);
        }
        tokio::time::sleep(GLANCE).await;
    }
}
