//! One process of the command, which can be ended in every way.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use local::built_functions;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::time::{Instant, sleep};

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// A process of `registry-migration`. Dropping it kills it.
#[derive(Debug)]
pub struct Run {
    child: Child,
    state: PathBuf,
    output: PathBuf,
    peak: u64,
}

/// `registry-migration`, with nothing of the caller's that could be credentials.
///
/// # Errors
/// When nobody says where it was built.
pub fn command() -> Result<Command> {
    let mut command = Command::new(built_functions()?.join("registry-migration"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("REGISTRY_") {
            command.env_remove(name);
        }
    }
    command.env("DOCKER_CONFIG", "/nonexistent").env_remove("XDG_RUNTIME_DIR").stdin(Stdio::null());
    Ok(command)
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit status; `None` where a signal ended it.
    pub status: Option<i32>,
    /// What it printed.
    pub output: String,
    /// The most bytes of memory that it had (VmHWM).
    pub peak: u64,
}

impl Run {
    /// Starts `run` between two addresses on a state directory. What it prints goes into the file `output`.
    ///
    /// # Errors
    /// Where there is no such program.
    pub fn begin(from: &str, to: &str, state: &Path, output: PathBuf, more: &[&str]) -> Result<Self> {
        let file = File::create(&output)?;
        let child = command()?
            .args(["run", "--from", from, "--to", to, "--state"])
            .arg(state)
            .args(more)
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .context("registry-migration does not start")?;
        Ok(Self { child, state: state.to_owned(), output, peak: 0 })
    }

    /// Whether it has ended by itself.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn has_ended(&mut self) -> Result<bool> {
        self.look();
        Ok(self.child.try_wait()?.is_some())
    }

    /// Whether its PostgreSQL runs.
    #[must_use]
    pub fn has_database(&self) -> bool {
        self.postmaster().is_ok()
    }

    fn postmaster(&self) -> Result<Pid> {
        let file = self.state.join("database/data/postmaster.pid");
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        Ok(Pid::from_raw(text.lines().next().context("no process id")?.trim().parse()?))
    }

    /// Asks it to end in order, as Ctrl-C does.
    ///
    /// # Errors
    /// When it has ended before.
    pub fn interrupt(&self) -> Result<()> {
        Ok(kill(self.pid()?, Signal::SIGINT)?)
    }

    /// Ends it by SIGKILL, its PostgreSQL before it if that is asked for.
    ///
    /// # Errors
    /// When it has ended by itself.
    pub fn kill(mut self, with_its_database: bool) -> Result<Ended> {
        self.look();
        if with_its_database {
            kill(self.postmaster()?, Signal::SIGKILL).context("its database")?;
        }
        self.child.kill()?;
        let status = self.child.wait()?.code();
        if let Some(status) = status {
            bail!("it ended with {status} before it was killed: {}", self.printed()?);
        }
        Ok(Ended { status, output: self.printed()?, peak: self.peak })
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn ended(mut self, at_most: Duration) -> Result<Ended> {
        let until = Instant::now() + at_most;
        loop {
            self.look();
            if let Some(status) = self.child.try_wait()? {
                return Ok(Ended { status: status.code(), output: self.printed()?, peak: self.peak });
            }
            if Instant::now() >= until {
                bail!("it does not end within {at_most:?}: {}", self.printed()?);
            }
            sleep(LOOK).await;
        }
    }

    /// Waits until `holds` says so.
    ///
    /// # Errors
    /// When the process ends before, or it takes too long.
    pub async fn until(&mut self, what: &str, at_most: Duration, holds: impl Fn() -> bool) -> Result<()> {
        let until = Instant::now() + at_most;
        while !holds() {
            if self.has_ended()? {
                bail!("it ended before {what}: {}", self.printed()?);
            }
            if Instant::now() >= until {
                bail!("waited {at_most:?} in vain until {what}: {}", self.printed()?);
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    fn pid(&self) -> Result<Pid> {
        Ok(Pid::from_raw(self.child.id().try_into()?))
    }

    fn printed(&self) -> Result<String> {
        Ok(fs::read_to_string(&self.output)?)
    }

    /// Reads its peak of memory, which the system forgets with its end.
    fn look(&mut self) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        if let Some(kib) = kib.and_then(|kib| kib.trim().parse::<u64>().ok()) {
            self.peak = self.peak.max(kib * 1024);
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
