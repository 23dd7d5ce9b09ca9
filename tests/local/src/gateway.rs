//! cargo lambda: the HTTP routes and Lambda's Runtime API.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use postgres_pair::keeper::Keeper;
use tokio::net::TcpStream;

use crate::binaries::{cargo_lambda, workspace};
use crate::worker::{TO_END, end, tail};

const PATIENCE: Duration = Duration::from_secs(20);

/// How long a request waits for its function, and a function's process for its next event: one that has waited
/// so long is told so in a way that it does not survive, and is started again. So it is long. A request to an
/// unknown route waits as long: every client needs a timeout of its own.
const REQUEST_SECONDS: &str = "86400";

/// A running `cargo lambda watch`. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Gateway {
    port: u16,
    child: Mutex<Option<Child>>,
    keeper: Arc<Keeper>,
}

impl Gateway {
    /// Starts it on `port`. It compiles and starts nothing itself: in that mode every function would be told
    /// the same environment, that of all of them together.
    pub(crate) async fn start(
        host: IpAddr,
        port: u16,
        log: &Path,
        keeper: &Arc<Keeper>,
    ) -> anyhow::Result<Self> {
        let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = Command::new(cargo_lambda()?)
            .args(["lambda", "watch", "--only-lambda-apis", "--ignore-changes"])
            .args(["--timeout", REQUEST_SECONDS])
            .args(["--invoke-address", &host.to_string(), "--invoke-port", &port.to_string()])
            .current_dir(workspace())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .group()
            .spawn()
            .context("cannot start cargo-lambda")?;
        keeper.watch(child.id())?;
        let gateway = Self { port, child: Mutex::new(Some(child)), keeper: Arc::clone(keeper) };
        gateway.listen(log).await?;
        Ok(gateway)
    }

    /// None: `port` is left to a cargo lambda that somebody else starts.
    pub(crate) fn absent(port: u16, keeper: &Arc<Keeper>) -> Self {
        Self { port, child: Mutex::new(None), keeper: Arc::clone(keeper) }
    }

    async fn listen(&self, log: &Path) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        while TcpStream::connect(address).await.is_err() {
            if let Some(status) = self.ended() {
                bail!("cargo lambda ended ({}):\n{}", status?, tail(log));
            }
            if Instant::now() > deadline {
                bail!("cargo lambda does not listen after {PATIENCE:?}:\n{}", tail(log));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What a function's process joins through. With the scheme: the client refuses a path without one.
    pub(crate) fn runtime_api(&self, function: &str) -> String {
        format!("http://127.0.0.1:{}/.rt/{function}", self.port)
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child().as_ref().map(Child::id)
    }

    /// Ends the process; a second time does nothing.
    pub(crate) fn end(&self) {
        if let Some(child) = self.child().take() {
            end(child, Signal::SIGTERM, Instant::now() + TO_END, &self.keeper);
        }
    }

    fn ended(&self) -> Option<std::io::Result<ExitStatus>> {
        self.child().as_mut().and_then(|child| child.try_wait().transpose())
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.end();
    }
}

/// A process group of its own: a Ctrl-C at the terminal is ours to handle.
pub(crate) trait OwnGroup {
    fn group(&mut self) -> &mut Self;
}

impl OwnGroup for Command {
    fn group(&mut self) -> &mut Self {
        std::os::unix::process::CommandExt::process_group(self, 0)
    }
}
