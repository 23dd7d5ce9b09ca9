//! What pairs begin with: a primary that has run once and has what is common to them. Made once per process, and
//! copied while cold: initdb costs more than everything else there is to a pair.

use std::path::PathBuf;
use std::sync::Arc;

use nix::sys::signal::Signal;
use tokio::sync::OnceCell;
use tokio_postgres::Client;

use postgres_server::keeper::Keeper;
use postgres_server::{Binaries, DATABASE, Server};

use crate::{FOLDER_PREFIX, layout};

/// The data folder that pairs are copied from. It goes when it is dropped, or with its process.
#[derive(Debug)]
pub struct Template {
    data: PathBuf,
    /// Never told to finish: a static is not dropped, and the keeper notices the process's end by itself.
    _keeper: Arc<Keeper>,
}

impl Template {
    /// A primary with the database [`DATABASE`], in which `prepare` has been run as the superuser.
    pub async fn make<F>(prepare: F) -> anyhow::Result<Self>
    where
        F: AsyncFnOnce(&Client) -> anyhow::Result<()>,
    {
        let binaries = Binaries::find()?;
        let folder = binaries.temporary_folder(FOLDER_PREFIX)?;
        let keeper = Arc::new(Keeper::start(Signal::SIGQUIT, Some(&folder))?);
        let [port] = postgres_server::free_ports()?;
        let server = Server::new(folder.join("template"), port, &binaries, &keeper);
        layout::initdb(&binaries, &server)?;
        layout::configure(&server, layout::FEW_CONNECTIONS)?;
        postgres_server::certify(&[server.data()], &folder.join("authority.pem"))?;
        server.start().await?;
        let client = server.connect_to("postgres").await?;
        client.batch_execute(&format!("CREATE DATABASE {DATABASE}")).await?;
        prepare(&server.connect().await?).await?;
        // In an orderly way: the copies have nothing to recover.
        server.stop(Signal::SIGINT).await?;
        Ok(Self { data: server.data().to_owned(), _keeper: keeper })
    }

    /// The one with an empty database.
    pub(crate) async fn empty() -> anyhow::Result<&'static Self> {
        static EMPTY: OnceCell<Template> = OnceCell::const_new();
        EMPTY.get_or_try_init(async || Self::make(async |_| Ok(())).await).await
    }

    pub(crate) fn data(&self) -> &std::path::Path {
        &self.data
    }
}
