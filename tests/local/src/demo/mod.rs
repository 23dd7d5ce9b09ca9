//! `local demo`: a whole registry is migrated while the replica lags behind, watched live and checked after.

mod calls;
mod chaos;
mod operate;
mod report;
mod rows;
mod screen;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use local::local_registry::StepTime;
use local::local_registry::storage::write_sample;
use local::output::note;
use local::{Place, RegistryChoice, Stack, StackOptions, source};
use serde_json::json;
use tokio::sync::{mpsc, watch};

use crate::signals::Signals;
use crate::up::keep;
use report::{Asked, Report};
use rows::{Progress, Standing, Watch};
use screen::Screen;

const CAPACITY: u16 = 8;
const TICK: Duration = Duration::from_secs(1);
const GLANCE: Duration = Duration::from_millis(100);
/// How long each import takes at least under --chaos: a restart is to find some of them running.
const CHAOS_STEP_TIME: u64 = 500;
/// How long something is in progress under --chaos before the guard asks what became of it.
const CHAOS_STEP_SECONDS: u64 = 2;
/// How long a step may take under --chaos before the guard has it canceled.
const CHAOS_STEP_LIMIT: u64 = 20;
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
    /// How long each import takes at least, in milliseconds: by default as fast as the disk, with --chaos 500.
    #[arg(long, value_name = "MILLISECONDS")]
    step_time: Option<u64>,
    /// Restart the registry twice in the middle, the second time with the notifications of what that cuts off
    /// lost.
    #[arg(long)]
    chaos: bool,
    /// Leave the stack running afterwards and say how to call it.
    #[arg(long)]
    keep: bool,
}

impl Demo {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let mut signals = Signals::take()?;
        let place = self.keep.then(Place::take).transpose()?;
        if let Some(storage) = &self.storage {
            source::open_with_repositories(storage)?;
        }
        note("Starting PostgreSQL twice, the Data API, the registry, and the functions under cargo lambda …");
        let Some(stack) = signals.or(Stack::start(self.options())).await else {
            return Ok(ExitCode::from(130));
        };
        let stack = stack?;
        let Some(report) = signals.or(self.migrate(&stack)).await else {
            stack.stop().await?;
            return Ok(ExitCode::from(130));
        };
        let report = report?;
        let shown = show(&stack, &report, place, &mut signals).await;
        stack.stop().await?;
        shown?;
        Ok(if report.held() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn options(&self) -> StackOptions {
        let usual = if self.chaos { CHAOS_STEP_TIME } else { 0 };
        let step = Duration::from_millis(self.step_time.unwrap_or(usual));
        StackOptions {
            registry: RegistryChoice::Local {
                old_storage: self.storage.clone(),
                new_storage: None,
                max_concurrent_imports: CAPACITY.into(),
                step_time: StepTime { pre: step, r#final: step },
            },
            witness: true,
            enabled: false,
            capacity: CAPACITY.into(),
            retry_backoff_seconds: 1,
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
        let repositories = storage.repositories()?.len();
        let client = stack.client();
        // In migration mode the catalogue lists nothing that has not been migrated.
        stack.registry()?.set_migration_mode(false);
        let registered = operate::register_catalogue(&client).await.context("registering the catalogue")?;
        stack.registry()?.set_migration_mode(true);
        ensure!(registered == repositories, "{registered} of {repositories} repositories were registered");
        // Lag is wanted for what happens from now on: the list itself is known everywhere.
        stack.pair().wait_until_replayed().await?;
        note(format_args!(
            "{registered} container repositories, from the catalogue as it is before migration mode; the replica \
             shows each commit {} ms late.\n",
            self.lag
        ));

        let began = Instant::now();
        let mut settings = json!({"enabled": true});
        if self.chaos {
            settings["max_step_duration_seconds"] = CHAOS_STEP_SECONDS.into();
            // What the registry cuts off without a word holds its slot for as long.
            settings["pre_import_timeout_seconds"] = CHAOS_STEP_LIMIT.into();
            settings["import_timeout_seconds"] = CHAOS_STEP_LIMIT.into();
        }
        operate::change_settings(&client, &settings).await?;
        let ticker = stack.tick_every(TICK);
        let (tell, lines) = mpsc::unbounded_channel();
        let (show, shown) = watch::channel(Standing::default());
        let shaken = async {
            if self.chaos {
                chaos::restart_in_the_middle(stack.registry()?, shown, tell).await
            } else {
                Ok(chaos::Restarts::default())
            }
        };
        let (ended, restarts) = tokio::try_join!(watch(stack, repositories, began, show, lines), shaken)?;
        let took = began.elapsed();
        drop(ticker);
        let asked = Asked { lag: self.lag > 0, chaos: self.chaos };
        Report::make(stack, asked, ended, took, restarts).await.context("checking what was migrated")
    }
}

/// Shows what came of it, and leaves the stack running where there is a place to announce it.
async fn show(
    stack: &Stack,
    report: &Report,
    place: Option<Place>,
    signals: &mut Signals,
) -> anyhow::Result<()> {
    report.print()?;
    let Some(place) = place else { return Ok(()) };
    calls::print(&stack.describe().await, report.a_path())?;
    keep(stack, place, signals).await
}

/// Shows how it goes until every repository has come to an end, or nothing moves any more.
async fn watch(
    stack: &Stack,
    repositories: usize,
    began: Instant,
    show: watch::Sender<Standing>,
    mut lines: mpsc::UnboundedReceiver<String>,
) -> anyhow::Result<Progress> {
    let watch = Watch::start(stack.pair()).await?;
    let mut screen = Screen::new(repositories, began)?;
    let mut last = Progress::default();
    let mut changed = Instant::now();
    loop {
        let progress = watch.look().await?;
        if !progress.is_same_as(&last) {
            changed = Instant::now();
        }
        while let Ok(line) = lines.try_recv() {
            screen.say(&line)?;
        }
        screen.show(&progress)?;
        show.send_replace(progress.standing());
        last = progress;
        if last.ended() == repositories || changed.elapsed() > PATIENCE {
            screen.finish();
            return Ok(last);
        }
        tokio::time::sleep(GLANCE).await;
    }
}
