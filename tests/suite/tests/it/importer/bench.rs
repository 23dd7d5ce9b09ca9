//! A database of its own for each test, of a server that all of them share.

use std::{
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
}

async fn pair() -> &'static Pair {
    // Never dropped: its keeper ends it with the process.
    static PAIR: OnceCell<Pair> = OnceCell::const_new();
    PAIR.get_or_init(async || {
        Pair::start_from(local::deployed().await.unwrap(), PairOptions::default()).await.unwrap()
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
        pair().await.writer().connect_to("postgres").await.unwrap().batch_execute(&create).await.unwrap();
        Self { name }
    }

    /// The writer, as the importer's role.
    pub async fn writer(&self) -> Writer {
        Writer::new(self.connection().await)
    }

    /// One connection as the importer's role.
    pub async fn connection(&self) -> Direct {
        let pair = pair().await;
        let server = Server {
            host: "localhost".to_owned(),
            port: pair.writer().port,
            database: self.name.clone(),
            certificates: pair.certificates(),
            login: Login::Password { user: "migration_importer".to_owned(), password: "local".into() },
        };
        Direct::new(server, Access::ReadWrite).unwrap()
    }

    /// Past the importer.
    pub async fn superuser(&self) -> Client {
        let dsn = pair().await.writer().dsn().replace(DATABASE, &self.name);
        let (client, connection) = tokio_postgres::connect(&dsn, NoTls).await.unwrap();
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
