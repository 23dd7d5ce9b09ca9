//! One process of a function, and how processes are ended.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use postgres_pair::keeper::Keeper;

use crate::function::{Environment, Function};
use crate::gateway::OwnGroup;

/// What a process of a function is started from, again if it must be.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    pub(crate) function: Function,
    pub(crate) program: PathBuf,
    pub(crate) environment: Environment,
    pub(crate) log: PathBuf,
}

impl Recipe {
    /// Starts a process with the recipe's environment and nothing of ours.
    pub(crate) fn spawn(&self, keeper: &Keeper) -> anyhow::Result<Child> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        let child = Command::new(&self.program)
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .group()
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        keeper.watch(child.id())?;
        Ok(child)
    }
}

/// What Lambda's environment tells every function.
pub(crate) fn platform_environment(function: Function, runtime_api: String) -> Environment {
    let pairs = [
        ("AWS_LAMBDA_RUNTIME_API", runtime_api),
        ("AWS_LAMBDA_FUNCTION_NAME", function.name().to_owned()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128".to_owned()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Sends a process a signal, if it still runs.
pub(crate) fn tell(child: &mut Child, signal: Signal) {
    // No signal to what has ended: its number may be another's by now.
    let runs = child.try_wait().is_ok_and(|ended| ended.is_none());
    if let (true, Ok(pid)) = (runs, child.id().try_into()) {
        // It may end just now.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// How long processes that are told to end may take, all of them together.
pub(crate) const TO_END: Duration = Duration::from_secs(3);

/// Ends a process: `signal`, and SIGKILL at `deadline`. Blocks until it is gone.
pub(crate) fn end(mut child: Child, signal: Signal, deadline: Instant, keeper: &Keeper) {
    let pid = child.id();
    let ended = (|| -> anyhow::Result<()> {
        if child.try_wait()?.is_none() {
            kill(Pid::from_raw(pid.try_into()?), signal)?;
        }
        while child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                child.kill()?;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        keeper.forget(pid)
    })();
    if let Err(error) = ended {
        tracing::warn!(%error, pid, "a process could not be ended");
    }
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
