//! `local up`: the stack until it is stopped.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use local::local_registry::StepTime;
use local::output::{note, say};
use local::{
    AS_DEPLOYED, Place, RegistryChoice, Stack, StackFile, StackOptions, Topology, cargo_lambda, source,
    workspace,
};

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
    /// Invoke them every minute, and let them repeat their round until the next, as deployed.
    #[arg(long, conflicts_with = "no_schedule")]
    schedule_as_deployed: bool,
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
            retry_backoff_seconds: 5,
            topology: self.topology,
            registry,
            notification_host: self.notification_host.clone(),
            ..StackOptions::default()
        };
        if self.no_functions {
            options.functions.clear();
        }
        if self.schedule_as_deployed {
            options.repeat = AS_DEPLOYED.1;
        }
        options
    }

    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let mut signals = Signals::take()?;
        let place = Place::take()?;
        let found = self.storage.as_deref().map(source::open_with_repositories).transpose()?;
        let Some(stack) = signals.or(Stack::start(self.options())).await else {
            return Ok(ExitCode::SUCCESS);
        };
        let stack = stack?;
        if let Some((_, repositories)) = found {
            stack.register(&repositories).await?;
        }
        let ticking = !self.no_schedule && !self.no_functions;
        let period = if self.schedule_as_deployed { AS_DEPLOYED.0 } else { TICK };
        let ticker = ticking.then(|| stack.tick_every(period));
        let kept = keep(&stack, place, &mut signals).await;
        drop(ticker);
        stack.stop().await?;
        kept?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Announces the stack and waits until the command is told to end.
pub(crate) async fn keep(stack: &Stack, place: Place, signals: &mut Signals) -> anyhow::Result<()> {
    let description = stack.describe().await;
    let announcement = place.announce(&description, &stack.common_environment())?;
    say(serde_json::to_string(&description)?)?;
    if description.functions.is_empty() {
        note(by_hand(&description, &announcement.environment_file())?);
    } else {
        let url = &description.base_url;
        note(format_args!("The functions run under cargo lambda at {url}. Ctrl-C ends the stack."));
    }
    signals.received().await;
    note("Ending the stack …");
    Ok(())
}

/// How to run the functions in another terminal, in commands to paste.
fn by_hand(stack: &StackFile, environment: &Path) -> anyhow::Result<String> {
    let url = &stack.base_url;
    let port = url.rsplit(':').next().unwrap_or("9000");
    let (folder, program) = (quoted(workspace()), quoted(&cargo_lambda()?));
    Ok(format!(
        "No function runs yet, and no schedule ticks. To compile and run the functions from the sources, all with one \
         environment:\n  \
         cd {folder} && {program} lambda watch --concurrency 8 --invoke-port {port} --env-file {}\n\
         A round of what is scheduled, once they run:\n  \
         for function in enqueue-migrations guard-migrations observe-migrations; do \
         curl -sS -d '{{}}' {url}/2015-03-31/functions/$function/invocations; echo; done\n\
         Ctrl-C ends the stack.",
        quoted(environment)
    ))
}

/// One word to a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}
