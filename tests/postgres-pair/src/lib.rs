//! A PostgreSQL primary and a streaming replica whose lag is under control.
//!
//! Both are real servers on loopback ports of their own, in a folder of their own. They end and the folder
//! goes when the [`Pair`] is stopped, dropped, or its process is killed.

mod layout;
pub mod logical;
pub mod proxy;
pub mod replay;
mod template;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;

use postgres_server::keeper::Keeper;
use postgres_server::{Binaries, wait_until};

pub use crate::template::Template;
/// The database that exists, empty, on a fresh pair.
pub use postgres_server::DATABASE;
pub use postgres_server::{Server, free_ports, keeper};

/// What the names of temporary folders begin with.
pub(crate) const FOLDER_PREFIX: &str = "postgres-pair-";

/// Whoever is made a member of this role, which does not exist on a fresh pair, has to give a password
/// (scram-sha-256) to both servers. All others are trusted.
pub const PASSWORD_GROUP: &str = "asked_for_password";

/// What a pair is started with.
#[derive(Debug, Clone)]
pub struct PairOptions {
    /// How many connections each server takes.
    pub max_connections: u16,
    /// What feeds the reader.
    pub replica: Replica,
}

/// What feeds the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replica {
    /// A streaming standby: in recovery, byte for byte the primary's.
    Streaming,
    /// A server of its own, not in recovery, which accepts writes. It replicates the primary's tables once somebody
    /// has it subscribe to them, in the database [`DATABASE`].
    Logical,
}

impl Default for PairOptions {
    fn default() -> Self {
        Self { max_connections: 200, replica: Replica::Streaming }
    }
}

/// A primary (the writer) and its streaming replica (the reader).
#[derive(Debug)]
pub struct Pair {
    writer: Server,
    reader: Server,
    replica: Replica,
    folder: PathBuf,
    keeper: Arc<Keeper>,
}

impl Pair {
    /// Starts both servers, with the database [`DATABASE`], owned by the superuser `postgres`. The reader has
    /// replayed all of it when this returns.
    pub async fn start(options: PairOptions) -> anyhow::Result<Self> {
        Self::start_from(Template::empty().await?, options).await
    }

    /// The same with what `template` has. A logical replica begins empty.
    pub async fn start_from(template: &Template, options: PairOptions) -> anyhow::Result<Self> {
        let mut attempt = 1;
        loop {
            match Self::try_start(template, &options).await {
                // Between finding a port free and using it somebody else may have taken it.
                Err(error) if attempt < 3 && format!("{error:#}").contains("could not bind") => attempt += 1,
                result => return result,
            }
        }
    }

    async fn try_start(template: &Template, options: &PairOptions) -> anyhow::Result<Self> {
        let binaries = Binaries::find()?;
        let folder = binaries.temporary_folder(FOLDER_PREFIX)?;
        let keeper = Arc::new(Keeper::start(Signal::SIGQUIT, Some(&folder))?);
        let [writer_port, reader_port] = postgres_server::free_ports()?;
        let pair = Self {
            writer: Server::new(folder.join("writer"), writer_port, &binaries, &keeper),
            reader: Server::new(folder.join("reader"), reader_port, &binaries, &keeper),
            replica: options.replica,
            folder,
            keeper,
        };
        layout::create(&binaries, template.data(), &pair.writer, &pair.reader, options)?;
        postgres_server::certify(&[pair.writer.data(), pair.reader.data()], &pair.certificates())?;
        tokio::try_join!(pair.writer.start(), pair.reader.start())?;
        // A server of another pair may have taken the port first, and answers there.
        for server in [&pair.writer, &pair.reader] {
            let asked = server.connect_to("postgres").await?.query_one("SHOW data_directory", &[]).await?;
            let found: String = asked.get(0);
            anyhow::ensure!(
                Path::new(&found) == server.data(),
                "could not bind port {}: it is {found}'s",
                server.port
            );
        }
        match options.replica {
            Replica::Streaming => pair.wait_until_replayed().await?,
            Replica::Logical => {
                let reader = pair.reader.connect_to("postgres").await?;
                reader.batch_execute(&format!("CREATE DATABASE {DATABASE}")).await?;
            }
        }
        Ok(pair)
    }

    /// The primary.
    pub fn writer(&self) -> &Server {
        &self.writer
    }

    /// The replica.
    pub fn reader(&self) -> &Server {
        &self.reader
    }

    /// The temporary folder that holds everything.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The authority (PEM) behind both servers' certificates, which are for `localhost` and for nothing else.
    pub fn certificates(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// Stops replay. When this returns nothing committed from now on is seen by the reader until
    /// [`Self::resume_replay`]. A restart of the reader resumes it as well.
    pub async fn pause_replay(&self) -> anyhow::Result<()> {
        match self.replica {
            Replica::Streaming => replay::pause(&self.reader.dsn()).await,
            Replica::Logical => logical::pause(&self.writer.dsn(), &self.reader.dsn()).await,
        }
    }

    /// Lets replay go on. It catches up by itself: see [`Self::wait_until_replayed`].
    pub async fn resume_replay(&self) -> anyhow::Result<()> {
        match self.replica {
            Replica::Streaming => replay::resume(&self.reader.dsn()).await,
            Replica::Logical => logical::resume(&self.reader.dsn()).await,
        }
    }

    /// Has the reader show each commit `lag` (to the millisecond) after it was made; zero ends that. Replay that is
    /// paused goes on. A logical replica knows no such delay.
    pub async fn set_lag(&self, lag: Duration) -> anyhow::Result<()> {
        if self.replica == Replica::Logical {
            anyhow::ensure!(lag.is_zero(), "a logical replica can be paused, not delayed");
            return Ok(());
        }
        replay::delay(&self.reader.dsn(), lag).await
    }

    /// Waits until the reader shows everything that is committed on the writer now. An error after 30 s.
    pub async fn wait_until_replayed(&self) -> anyhow::Result<()> {
        let writer = self.writer.connect_to("postgres").await?;
        let position: String = writer.query_one("SELECT pg_current_wal_flush_lsn()::text", &[]).await?.get(0);
        if self.replica == Replica::Logical {
            return logical::wait_until_replayed(self, &writer, &position).await;
        }
        let reader = self.reader.connect_to("postgres").await?;
        let query = "SELECT coalesce(pg_last_wal_replay_lsn() >= $1::text::pg_lsn, false)";
        wait_until("the replica has replayed the primary's position", async || {
            let row = replay::unless_canceled(reader.query_one(query, &[&position]).await)?;
            Ok(row.is_some_and(|row| row.get(0)))
        })
        .await
    }

    /// Stops the primary in an orderly way; connections are cut.
    pub async fn stop_writer(&self) -> anyhow::Result<()> {
        self.writer.stop(Signal::SIGINT).await
    }

    /// Starts the primary again on the same port.
    pub async fn start_writer(&self) -> anyhow::Result<()> {
        self.writer.start().await
    }

    /// Stops and starts the primary; connections are cut.
    pub async fn restart_writer(&self) -> anyhow::Result<()> {
        self.stop_writer().await?;
        self.start_writer().await
    }

    /// Stops the replica in an orderly way; connections are cut.
    pub async fn stop_reader(&self) -> anyhow::Result<()> {
        self.reader.stop(Signal::SIGINT).await
    }

    /// Starts the replica again on the same port; replay is not paused then.
    pub async fn start_reader(&self) -> anyhow::Result<()> {
        self.reader.start().await
    }

    /// Makes the replica a primary of its own, for good. The old primary is not told.
    pub async fn promote_reader(&self) -> anyhow::Result<()> {
        let reader = self.reader.connect_to("postgres").await?;
        let promoted: bool = reader.query_one("SELECT pg_promote(true, 30)", &[]).await?.get(0);
        anyhow::ensure!(promoted, "the replica was not promoted within 30 s");
        Ok(())
    }

    /// Ends both servers and removes their folder. Dropping does the same, without telling of an error.
    pub async fn stop(self) -> anyhow::Result<()> {
        tokio::try_join!(self.writer.stop(Signal::SIGQUIT), self.reader.stop(Signal::SIGQUIT))?;
        self.keeper.finish()
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.writer.end();
        self.reader.end();
        if let Err(error) = self.keeper.finish() {
            tracing::warn!(%error, "the pair's folder could not be removed");
        }
    }
}
