//! A pair of servers, Data APIs in front of it, and the names that the cases use.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use local_data_api::{Cluster, ClusterState, Config, DataApi, Limits, Secret};
use postgres_pair::{Pair, PairOptions};
use tokio::net::TcpSocket;
use tokio::sync::OnceCell;

use crate::cases::FIXTURE;

/// The database the cases run in.
pub const DATABASE: &str = postgres_pair::DATABASE;

/// Everything a run of the cases needs; ends with it.
pub struct Stage {
    pub pair: Pair,
    servers: Vec<(&'static str, DataApi)>,
    late: Late,
}

/// Where nobody listens until a case says so.
struct Late {
    url: String,
    /// Bound, so that nobody else gets the port, and not listening.
    socket: Mutex<Option<TcpSocket>>,
    server: OnceLock<DataApi>,
}

impl Late {
    fn bind() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        Self { url, socket: Mutex::new(Some(socket)), server: OnceLock::new() }
    }

    fn listen(&self, config: Config) {
        let socket = self.socket.lock().unwrap().take().unwrap();
        let server = DataApi::start_on(socket.listen(64).unwrap(), config).unwrap();
        assert!(self.server.set(server).is_ok());
    }
}

impl Stage {
    pub async fn set() -> Self {
        let pair = Pair::start(PairOptions::default()).await.unwrap();
        let owner = connect(&pair.writer().dsn()).await;
        owner.batch_execute(FIXTURE).await.unwrap();
        pair.wait_until_replayed().await.unwrap();
        let mut servers = Vec::new();
        for (name, limits) in
            [("aws", Limits::default()), ("small", small()), ("brief", brief()), ("aged", aged())]
        {
            servers.push((name, DataApi::start(config(&pair, limits)).await.unwrap()));
        }
        Self { pair, servers, late: Late::bind() }
    }

    /// Name and URL of each server.
    pub fn urls(&self) -> BTreeMap<&'static str, String> {
        let servers = self.servers.iter().map(|(name, server)| (*name, server.url()));
        servers.chain([("late", self.late.url.clone())]).collect()
    }

    /// None: it does not listen yet.
    pub fn server(&self, wanted: &str) -> Option<&DataApi> {
        if wanted == "late" {
            return self.late.server.get();
        }
        let found = self.servers.iter().find(|(name, _)| *name == wanted);
        Some(found.map(|(_, server)| server).unwrap())
    }

    /// From now on the server `late` listens.
    pub fn listen(&self) {
        self.late.listen(config(&self.pair, Limits::default()));
    }

    pub async fn strike(self) {
        for (_, server) in self.servers {
            server.stop().await;
        }
        if let Some(server) = self.late.server.into_inner() {
            server.stop().await;
        }
        self.pair.stop().await.unwrap();
    }
}

/// What stands behind the `@` names of the cases.
pub fn names() -> BTreeMap<&'static str, String> {
    let clusters =
        ["writer", "reader", "down", "no-writer", "no-instance", "disabled", "invalid-state", "unknown"];
    let secrets = ["owner", "select-only", "no-such-role", "missing", "right-password", "wrong-password"];
    let clusters = clusters.into_iter().map(|name| (name, cluster_arn(name)));
    let secrets = secrets.into_iter().map(|name| (name, secret_arn(name)));
    let others = [
        ("database", DATABASE.to_owned()),
        ("owner-by-name", "local-owner".to_owned()),
        ("suffixed-by-name", "local-suffixed".to_owned()),
        ("suffixed-without-suffix", secret_arn("suffixed")),
    ];
    clusters.chain(secrets).chain(others).collect()
}

pub fn cluster_arn(name: &str) -> String {
    format!("arn:aws:rds:eu-central-1:123456789012:cluster:{name}")
}

pub fn secret_arn(name: &str) -> String {
    format!("arn:aws:secretsmanager:eu-central-1:123456789012:secret:local-{name}")
}

pub fn config(pair: &Pair, limits: Limits) -> Config {
    let (writer, reader) = (pair.writer(), pair.reader());
    let in_state =
        |name: &str, state| Cluster { state, ..Cluster::new(cluster_arn(name), &writer.host, writer.port) };
    let secret = |name: &str, user: &str| Secret {
        arn: secret_arn(name),
        username: user.to_owned(),
        password: "not checked by a server that trusts".to_owned(),
    };
    Config {
        clusters: vec![
            in_state("writer", ClusterState::Available),
            Cluster::new(cluster_arn("reader"), &reader.host, reader.port),
            Cluster::new(cluster_arn("down"), "127.0.0.1", closed_port()),
            in_state("no-writer", ClusterState::NoWriter),
            in_state("no-instance", ClusterState::NoInstance),
            in_state("disabled", ClusterState::HttpEndpointDisabled),
            in_state("invalid-state", ClusterState::InvalidState),
        ],
        secrets: vec![
            secret("owner", "postgres"),
            secret("select-only", "select_only"),
            secret("suffixed-AbCdEf", "select_only"),
            secret("no-such-role", "nobody_by_this_name"),
            Secret { password: "right".to_owned(), ..secret("right-password", "asked") },
            Secret { password: "wrong".to_owned(), ..secret("wrong-password", "asked") },
        ],
        limits,
        ..Config::default()
    }
}

/// One pair for all tests that neither stop it nor look at all of it. It ends with the process.
pub async fn shared_pair() -> &'static Pair {
    static PAIR: OnceCell<Pair> = OnceCell::const_new();
    PAIR.get_or_init(async || Pair::start(PairOptions::default()).await.unwrap()).await
}

/// A connection around the Data API.
pub async fn connect(dsn: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(dsn, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn small() -> Limits {
    Limits {
        request_bytes: 6000,
        sql_characters: 300,
        response_bytes: 1000,
        formatted_bytes: 500,
        transaction_idle: Duration::from_secs(2),
        ..Limits::default()
    }
}

fn brief() -> Limits {
    Limits { call: Duration::from_millis(400), ..Limits::default() }
}

fn aged() -> Limits {
    Limits { transaction_life: Duration::from_millis(300), ..Limits::default() }
}

/// A port where nobody listens.
fn closed_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
