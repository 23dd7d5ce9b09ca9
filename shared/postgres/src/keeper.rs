//! Nothing outlives its owner: processes are ended and the folder removed even after a SIGKILL.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use nix::sys::signal::Signal;

/// A small process of its own that waits for its owner's end and then cleans up.
///
/// It notices the end by the closing of a pipe, which no way of dying can avoid. It stands in its own
/// process group, so a Ctrl-C at the terminal does not end it together with the owner.
#[derive(Debug)]
pub struct Keeper {
    child: Mutex<Option<(Child, ChildStdin)>>,
}

impl Keeper {
    /// Starts a keeper that sends `signal` to the watched processes (SIGKILL after 3 s) and then removes
    /// `folder`.
    pub fn start(signal: Signal, folder: Option<&Path>) -> anyhow::Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", include_str!("keeper.sh"), "keeper"]);
        command.arg(signal.as_str().trim_start_matches("SIG"));
        if let Some(folder) = folder {
            command.arg(folder);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start the keeper (sh)")?;
        let pipe = child.stdin.take().context("the keeper has no standard input")?;
        Ok(Self { child: Mutex::new(Some((child, pipe))) })
    }

    /// Ends the process `pid` too, when the time comes.
    pub fn watch(&self, pid: u32) -> anyhow::Result<()> {
        self.tell("watch", pid)
    }

    /// Leaves `pid` alone from now on. To be called once it was reaped: the number may be given out again.
    pub fn forget(&self, pid: u32) -> anyhow::Result<()> {
        self.tell("forget", pid)
    }

    /// Has everything ended and removed now, and waits for it. A second call does nothing.
    pub fn finish(&self) -> anyhow::Result<()> {
        let taken = self.child.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((mut child, pipe)) = taken {
            drop(pipe);
            child.wait().context("waiting for the keeper")?;
        }
        Ok(())
    }

    fn tell(&self, verb: &str, pid: u32) -> anyhow::Result<()> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, pipe) = child.as_mut().context("the keeper has already finished")?;
        writeln!(pipe, "{verb} {pid}").context("the keeper is gone")
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            tracing::warn!(%error, "the keeper could not finish");
        }
    }
}
