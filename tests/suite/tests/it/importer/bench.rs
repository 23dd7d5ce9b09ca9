//! A database of its own for each test, of a server that all of them share.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use direct_endpoint::{Access, Direct, Login, Server};
use local::{
    DATABASE,
    postgres_pair::{Pair, PairOptions},
};
use shared::endpoint::Writer;
use tokio::{sync::OnceCell, time::Instant};
use tokio_postgres::{Client, NoTls};

/// A database with the schema, and the importer's way to it.
pub struct Database {
    name: String,
    dsn: String,
    port: u16,
    certificates: PathBuf,
}

async fn pair() -> &'static Pair {
    // Never dropped: its keeper ends it with the process.
    static PAIR: OnceCell<Pair> = OnceCell::const_new();
    PAIR.get_or_init(|| async {
        // Of a runtime of its own: each test has another.
        let started = tokio::task::spawn_blocking(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                Pair::start_from(local::deployed().await.unwrap(), PairOptions::default()).await.unwrap()
            })
        });
        started.await.unwrap()
    })
    .await
}

impl Database {
    /// A new one.
    pub async fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let name = format!("importer_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let create = format!("CREATE DATABASE {name} TEMPLATE {DATABASE}");
        // A template that another is just being made from is in use.
        let _turn = TURN.lock().await;
        let pair = pair().await;
        pair.writer().connect_to("postgres").await.unwrap().batch_execute(&create).await.unwrap();
        let (dsn, port) = (pair.writer().dsn().replace(DATABASE, &name), pair.writer().port);
        Self { name, dsn, port, certificates: pair.certificates() }
    }

    /// The writer, as the importer's role.
    pub fn writer(&self) -> Writer {
        Writer::new(self.connection())
    }

    /// One connection as the importer's role.
    pub fn connection(&self) -> Direct {
        let server = Server {
            host: "localhost".to_owned(),
            port: self.port,
            database: self.name.clone(),
            certificates: self.certificates.clone(),
            login: Login::Password { user: "migration_importer".to_owned(), password: "local".into() },
        };
        Direct::new(server, Access::ReadWrite).unwrap()
    }

    /// Past the importer.
    pub async fn superuser(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.dsn, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Runs SQL past the importer.
    pub async fn sql(&self, text: &str) {
        self.superuser().await.batch_execute(text).await.unwrap();
    }

    /// One text, asked past the importer.
    pub async fn ask(&self, query: &str) -> String {
        self.superuser().await.query_one(query, &[]).await.unwrap().get(0)
    }
}

/// Time to spare.
pub fn in_time() -> Instant {
    Instant::now() + Duration::from_secs(30)
}
