//! `local up`: the stack until it is stopped.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use local::local_registry::StepTime;
use local::{Announcement, RegistryChoice, Stack, StackOptions, Topology};

use crate::signals::Signals;

const TICK: Duration = Duration::from_secs(1);

/// Start the stack, print one JSON line when it is ready, run until stopped.
#[derive(Args)]
pub(crate) struct Up {
    /// What the reader is.
    #[arg(long, value_enum, default_value_t = Topology::StandbyCluster)]
    topology: Topology,
    /// An outside registry to use instead of our own.
    #[arg(long, value_name = "URL", conflicts_with = "storage")]
    registry_url: Option<String>,
    /// The host under which the registry reaches the functions; all interfaces are listened on unless it is
    /// this machine's loopback.
    #[arg(long, value_name = "HOST")]
    notification_host: Option<String>,
    /// The registry storage to migrate from (what holds `docker/registry/v2`). Its repositories are
    /// registered with the driver.
    #[arg(long, value_name = "DIR")]
    storage: Option<PathBuf>,
    /// How long each import takes at least.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    step_time: u64,
    /// Do not invoke the scheduled functions every second.
    #[arg(long)]
    no_schedule: bool,
    /// Do not start the functions; a command that does is printed.
    #[arg(long)]
    no_functions: bool,
}

impl Up {
    fn options(&self) -> StackOptions {
        let step = Duration::from_millis(self.step_time);
        let registry = match &self.registry_url {
            Some(url) => RegistryChoice::Outside { url: url.clone() },
            None => RegistryChoice::Local {
                old_storage: self.storage.clone(),
                new_storage: None,
                max_concurrent_imports: 8,
                step_time: StepTime { pre: step, r#final: step },
            },
        };
        let mut options = StackOptions {
            topology: self.topology,
            registry,
            notification_host: self.notification_host.clone(),
            ..StackOptions::default()
        };
        if self.no_functions {
            options.functions.clear();
        }
        options
    }

    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let mut signals = Signals::take()?;
        let Some(stack) = signals.or(Stack::start(self.options())).await else {
            return Ok(ExitCode::SUCCESS);
        };
        let stack = stack?;
        if self.storage.is_some() {
            let storage = stack.old_storage()?;
            stack.register(&storage.repositories()?).await?;
        }
        let ticking = !self.no_schedule && !self.no_functions;
        let ticker = ticking.then(|| stack.tick_every(TICK));
        keep(&stack, &mut signals).await?;
        drop(ticker);
        stack.stop().await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Announces the stack and waits until the command is told to end.
pub(crate) async fn keep(stack: &Stack, signals: &mut Signals) -> anyhow::Result<()> {
    let description = stack.describe().await;
    let announcement = Announcement::write(&description, &stack.common_environment())?;
    println!("{}", serde_json::to_string(&description)?);
    let environment = announcement.environment_file().display().to_string();
    let port = description.base_url.rsplit(':').next().unwrap_or("9000");
    if description.functions.is_empty() {
        eprintln!(
            "No function runs yet. To compile and run them from the sources, all with one environment:\n  \
             cargo lambda watch --concurrency 8 --invoke-port {port} --env-file {environment}\n\
             Ctrl-C ends the stack."
        );
    } else {
        eprintln!("The functions run under cargo lambda at {}. Ctrl-C ends the stack.", description.base_url);
    }
    signals.received().await;
    Ok(())
}
