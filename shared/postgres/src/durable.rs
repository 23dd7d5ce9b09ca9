//! A server whose data stays: the next process opens it again, whatever ended the one before.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::keeper::Keeper;
use crate::server::POLL;
use crate::{Binaries, DATABASE, PATIENCE, Server, certify, data, free_ports};

/// How often another port is tried where somebody took the first one.
const PORTS: usize = 3;

/// What it runs with. What was committed is on the disk: no power cut takes it back.
const SETTINGS: &str = "\
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 40
shared_buffers = '32MB'
dynamic_shared_memory_type = mmap
fsync = on
full_page_writes = on
synchronous_commit = on
wal_level = minimal
max_wal_senders = 0
max_wal_size = '256MB'
jit = off
max_parallel_workers_per_gather = 0
log_checkpoints = off
ssl = on
";

/// A PostgreSQL server under a folder that is kept. It takes connections of this machine alone, with a password that
/// stands in the folder, and it ends with the process that opened it.
#[derive(Debug)]
pub struct Durable {
    server: Server,
    folder: PathBuf,
    password: SecretString,
    keeper: Arc<Keeper>,
}

impl Durable {
    /// Opens the server under `folder`, and makes it where there is none: with the empty database [`DATABASE`], owned by
    /// the superuser `postgres`. What an earlier process committed is there, also where it was killed together with its
    /// server. A server that is still ending is waited for.
    ///
    /// # Errors
    /// In words: PostgreSQL is not installed, or not in the version of the data; the folder cannot be used; an earlier
    /// server does not end.
    pub async fn open(folder: &Path) -> anyhow::Result<Self> {
        let made = DirBuilder::new().recursive(true).mode(0o755).create(folder);
        made.with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let folder = folder.canonicalize()?;
        let binaries = Binaries::find_for(version(&folder)?.as_deref())?;
        binaries.check_reach(&folder)?;
        let mut ports = 1;
        loop {
            match Self::try_open(&folder, &binaries).await {
                // Between finding a port free and using it somebody else may have taken it.
                Err(error) if ports < PORTS && format!("{error:#}").contains("could not bind") => ports += 1,
                result => return result,
            }
        }
    }

    async fn try_open(folder: &Path, binaries: &Binaries) -> anyhow::Result<Self> {
        let lock = lock(folder).await?;
        let data = data_of(folder);
        if !data.exists() {
            make(folder, binaries, &lock)?;
        }
        // Nobody has the lock but us, so no server runs, whatever its file says: the number in it may have been given
        // to another process since.
        let stale = fs::remove_file(data.join("postmaster.pid"));
        stale.or_else(
            |error| if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) },
        )?;
        let password =
            SecretString::from(fs::read_to_string(folder.join("password")).with_context(|| {
                format!("the database's password cannot be read: {}", folder.join("password").display())
            })?);
        let [port] = free_ports()?;
        data::write(&data, "postgresql.conf", &format!("{SETTINGS}port = {port}\n"))?;
        let keeper = Arc::new(Keeper::start(Signal::SIGINT, None)?);
        let server = Server::new(data, port, binaries, &keeper).with_password(password.clone()).holding(lock);
        server.start().await?;
        let client = server.connect_to("postgres").await?;
        let found = client.query_opt("SELECT FROM pg_database WHERE datname = $1", &[&DATABASE]).await?;
        if found.is_none() {
            client.batch_execute(&format!("CREATE DATABASE {DATABASE}")).await?;
        }
        Ok(Self { server, folder: folder.to_owned(), password, keeper })
    }

    /// The name that its certificate is for. It means the loopback address.
    pub fn host(&self) -> &'static str {
        "localhost"
    }

    /// Another one each time that it is opened.
    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// The superuser's.
    pub fn password(&self) -> &SecretString {
        &self.password
    }

    /// The authority (PEM) that its certificate comes from.
    pub fn certificates(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// The process id of the server, while it runs.
    pub async fn pid(&self) -> Option<u32> {
        self.server.pid().await
    }

    /// Waits until the server's process has ended, which it does only by itself or by somebody else.
    pub async fn ended(&self) {
        self.server.ended().await;
    }

    /// A connection of its own as the superuser.
    pub async fn connect(&self) -> anyhow::Result<tokio_postgres::Client> {
        self.server.connect().await
    }

    /// Ends the server in an orderly way. A drop ends it at once, and the next opening recovers what was committed.
    pub async fn close(self) -> anyhow::Result<()> {
        self.server.stop(Signal::SIGINT).await?;
        self.keeper.finish()
    }
}

impl Drop for Durable {
    fn drop(&mut self) {
        self.server.end();
    }
}

fn data_of(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// The version that the data were made with. None: there are none yet.
fn version(folder: &Path) -> anyhow::Result<Option<String>> {
    let path = data_of(folder).join("PG_VERSION");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// The lock that a server inherits as its standard input, and all of its processes with it: who has it knows that none
/// of them is left.
async fn lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.with_context(|| format!("cannot write {}", path.display()))?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => tokio::time::sleep(POLL).await,
            Err(TryLockError::WouldBlock) => bail!(
                "an earlier server of {} still runs{}: end it, and start again",
                folder.display(),
                postmaster(folder).map(|pid| format!(" (process {pid})")).unwrap_or_default()
            ),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
    }
}

fn postmaster(folder: &Path) -> Option<u32> {
    fs::read_to_string(data_of(folder).join("postmaster.pid")).ok()?.lines().next()?.trim().parse().ok()
}

/// Makes the data under another name first: what was broken off is no data. initdb has the lock too: one that an earlier
/// process left behind is awaited.
fn make(folder: &Path, binaries: &Binaries, lock: &File) -> anyhow::Result<()> {
    let unfinished = folder.join("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    binaries.make_folder(&unfinished)?;
    let password = Uuid::new_v4().simple().to_string() + &Uuid::new_v4().simple().to_string();
    let password = SecretString::from(password);
    write_secret(&folder.join("password"), &password)?;
    // initdb runs as an account that may not look into what is ours.
    let told = binaries.make_readable_copy(&folder.join("password"))?;
    let pwfile = format!("--pwfile={}", told.path().display());
    data::initdb(binaries, &unfinished, &["--auth=scram-sha-256", &pwfile], Some(lock))?;
    drop(told);
    certify(&[&unfinished], &folder.join("authority.pem"))?;
    fs::rename(&unfinished, data_of(folder))?;
    File::open(folder)?.sync_all().context("cannot write the folder to the disk")
}

fn write_secret(path: &Path, secret: &SecretString) -> anyhow::Result<()> {
    // Removed first: a file that is there keeps its mode.
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(secret.expose_secret().as_bytes())?;
    file.sync_all().with_context(|| format!("cannot write {}", path.display()))
}
