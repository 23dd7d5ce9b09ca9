//! One PostgreSQL server: its address, its process, starting and stopping it.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use tokio_postgres::{Client, NoTls};

use crate::DATABASE;
use crate::binaries::Binaries;
use crate::keeper::Keeper;

/// How long a server may take to start, to stop or to reach a state that was asked of it.
pub const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const POLL: Duration = Duration::from_millis(10);
const TO_QUIT: Duration = Duration::from_secs(2);

/// One server: where it is reached, and its process.
#[derive(Debug)]
pub struct Server {
    /// Always the loopback address.
    pub host: String,
    /// Stays the same when the server is stopped and started again.
    pub port: u16,
    folder: PathBuf,
    binaries: Binaries,
    keeper: Arc<Keeper>,
    process: Mutex<Option<Child>>,
    password: Option<SecretString>,
    held: Option<File>,
}

impl Server {
    /// One that does not run yet, for a data folder that is there or will be. Its log is written beside the folder.
    pub fn new(folder: PathBuf, port: u16, binaries: &Binaries, keeper: &Arc<Keeper>) -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port,
            folder,
            binaries: binaries.clone(),
            keeper: Arc::clone(keeper),
            process: Mutex::new(None),
            password: None,
            held: None,
        }
    }

    /// The same, where the superuser is asked for a password.
    #[must_use]
    pub fn with_password(mut self, password: SecretString) -> Self {
        self.password = Some(password);
        self
    }

    /// The same with a file that all of its processes keep open as long as one of them lives.
    #[must_use]
    pub fn holding(mut self, file: File) -> Self {
        self.held = Some(file);
        self
    }

    /// The superuser's connection string for the database `migrations`; no password is asked for.
    pub fn dsn(&self) -> String {
        self.dsn_as("postgres")
    }

    /// The connection string for the database `migrations` as another role; no password is asked for.
    pub fn dsn_as(&self, role: &str) -> String {
        format!("postgres://{role}@{}:{}/{DATABASE}", self.host, self.port)
    }

    /// The process id of the server, while it runs.
    pub async fn pid(&self) -> Option<u32> {
        self.process.lock().await.as_ref().map(Child::id)
    }

    /// What the server has written so far; every connection is told in it.
    pub fn log(&self) -> anyhow::Result<String> {
        let path = self.folder.with_extension("log");
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// A connection of its own as the superuser.
    pub async fn connect(&self) -> anyhow::Result<Client> {
        self.connect_to(DATABASE).await
    }

    /// The same to another database.
    pub async fn connect_to(&self, database: &str) -> anyhow::Result<Client> {
        let mut config = tokio_postgres::Config::new();
        config.host(&self.host).port(self.port).user("postgres").dbname(database);
        if let Some(password) = &self.password {
            config.password(password.expose_secret());
        }
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.folder
    }

    /// Starts the process and waits until it takes connections.
    pub async fn start(&self) -> anyhow::Result<()> {
        let mut process = self.process.lock().await;
        if process.is_some() {
            bail!("the server on port {} already runs", self.port);
        }
        let log_path = self.folder.with_extension("log");
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log_path)
            .with_context(|| format!("cannot write {}", log_path.display()))?;
        let input = match &self.held {
            Some(file) => file.try_clone()?.into(),
            None => Stdio::null(),
        };
        let child = self
            .binaries
            .command("postgres")
            .arg("-D")
            .arg(&self.folder)
            // As another user it may not look into root's, where libpq looks for certificates.
            .env("HOME", &self.folder)
            .stdin(input)
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start postgres")?;
        self.keeper.watch(child.id())?;
        let child = process.insert(child);

        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait()? {
                self.keeper.forget(child.id())?;
                *process = None;
                bail!("postgres ended while starting ({status}):\n{}", tail(&log_path));
            }
            let Err(error) = self.connect_to("postgres").await else {
                return Ok(());
            };
            if Instant::now() > deadline {
                bail!("postgres takes no connections after {PATIENCE:?} ({error}):\n{}", tail(&log_path));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until the process has ended by itself.
    pub async fn ended(&self) {
        const LOOK: Duration = Duration::from_millis(200);
        loop {
            {
                let mut process = self.process.lock().await;
                match process.as_mut().map(Child::try_wait) {
                    None | Some(Ok(Some(_)) | Err(_)) => return,
                    Some(Ok(None)) => {}
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Ends the process with `signal` and waits for its end; one that does not run is left as it is.
    pub async fn stop(&self, signal: Signal) -> anyhow::Result<()> {
        let mut process = self.process.lock().await;
        let Some(child) = process.as_mut() else {
            return Ok(());
        };
        send(child, signal)?;
        let deadline = Instant::now() + PATIENCE;
        while child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                child.kill()?;
                child.wait()?;
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        self.keeper.forget(child.id())?;
        *process = None;
        Ok(())
    }

    /// The same without a runtime, for a drop.
    pub fn end(&mut self) {
        let Some(mut child) = self.process.get_mut().take() else {
            return;
        };
        if let Err(error) = end_at_once(&mut child).and_then(|()| self.keeper.forget(child.id())) {
            tracing::warn!(%error, port = self.port, "a server could not be ended");
        }
    }
}

/// A server that is only just starting may take no notice of SIGQUIT, so it is not waited for without a limit.
/// The processes of a postmaster that is killed end by themselves.
fn end_at_once(child: &mut Child) -> anyhow::Result<()> {
    send(child, Signal::SIGQUIT)?;
    let deadline = Instant::now() + TO_QUIT;
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            break;
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

fn send(child: &Child, signal: Signal) -> anyhow::Result<()> {
    kill(Pid::from_raw(child.id().try_into()?), signal).context("cannot signal postgres")
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// Asks again and again until `question` answers true.
pub async fn wait_until<F>(what: &str, mut question: F) -> anyhow::Result<()>
where
    F: AsyncFnMut() -> anyhow::Result<bool>,
{
    let deadline = Instant::now() + PATIENCE;
    while !question().await.with_context(|| format!("waiting until {what}"))? {
        if Instant::now() > deadline {
            bail!("still not so after {PATIENCE:?}: {what}");
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}
