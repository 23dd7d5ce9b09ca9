//! cargo lambda: the HTTP routes and Lambda's Runtime API.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use postgres_pair::free_ports;
use postgres_pair::keeper::Keeper;
use tokio::net::TcpStream;

use crate::binaries::{cargo_lambda, workspace};
use crate::concurrency_limit::ConcurrencyLimit;
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
    /// cargo lambda's own, for the functions.
    runtime_port: u16,
    running: Mutex<Option<Running>>,
    keeper: Arc<Keeper>,
}

#[derive(Debug)]
struct Running {
    cargo_lambda: Child,
    /// What listens on the gateway's port, from when cargo lambda listens.
    limit: Option<ConcurrencyLimit>,
}

impl Gateway {
    /// Starts it behind a limit to what it is asked at once; that listens on `port`. It compiles and starts nothing
    /// itself: in that mode every function would be told the same environment, that of all of them together.
    pub(crate) async fn start(
        host: IpAddr,
        port: u16,
        log: &Path,
        keeper: &Arc<Keeper>,
    ) -> anyhow::Result<Self> {
        let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let [runtime_port] = free_ports()?;
        let own = SocketAddr::from((Ipv4Addr::LOCALHOST, runtime_port));
        let cargo_lambda = Command::new(cargo_lambda()?)
            .args(["lambda", "watch", "--only-lambda-apis", "--ignore-changes"])
            .args(["--timeout", REQUEST_SECONDS])
            .args(["--invoke-address", &own.ip().to_string(), "--invoke-port", &own.port().to_string()])
            .current_dir(workspace())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .group()
            .spawn()
            .context("cannot start cargo-lambda")?;
        keeper.watch(cargo_lambda.id())?;
        let running = Mutex::new(Some(Running { cargo_lambda, limit: None }));
        let gateway = Self { port, runtime_port, running, keeper: Arc::clone(keeper) };
        gateway.listen(own, log).await?;
        let limit = ConcurrencyLimit::start((host, port).into(), own).await?;
        if let Some(running) = gateway.running().as_mut() {
            running.limit = Some(limit);
        }
        Ok(gateway)
    }

    /// None: `port` is left to a cargo lambda that somebody else starts.
    pub(crate) fn absent(port: u16, keeper: &Arc<Keeper>) -> Self {
        Self { port, runtime_port: port, running: Mutex::new(None), keeper: Arc::clone(keeper) }
    }

    async fn listen(&self, address: SocketAddr, log: &Path) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
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
        format!("http://127.0.0.1:{}/.rt/{function}", self.runtime_port)
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.running().as_ref().map(|running| running.cargo_lambda.id())
    }

    /// Listens no more and ends the process; a second time does nothing.
    pub(crate) fn end(&self) {
        if let Some(Running { cargo_lambda, limit }) = self.running().take() {
            drop(limit);
            end(cargo_lambda, Signal::SIGTERM, Instant::now() + TO_END, &self.keeper);
        }
    }

    fn ended(&self) -> Option<std::io::Result<ExitStatus>> {
        self.running().as_mut().and_then(|running| running.cargo_lambda.try_wait().transpose())
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
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
