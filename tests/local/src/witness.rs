//! Looks at both databases as each notification arrives, then passes it on.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use postgres_pair::Pair;
use shared::migration::State as MigrationState;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

const PREFIX: &str = "/api/v4/internal/registry/repositories/";
const SUFFIX: &str = "/migration/status";
const BODY_BYTES: usize = 2 * 1024 * 1024;

/// A proxy in front of the notification route. Dropping it ends it.
#[derive(Debug)]
pub struct Witness {
    port: u16,
    inner: Arc<Inner>,
    server: JoinHandle<()>,
}

/// What was seen when a notification arrived, before anything was done about it.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// The container repository.
    pub path: String,
    /// The row on the primary; None when it is not there.
    pub writer: Option<Row>,
    /// The row on the replica; None when it is not there yet.
    pub reader: Option<Row>,
    /// How the notification was answered; None when it was not.
    pub answered: Option<u16>,
}

/// What a server shows of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// `migration_state`.
    pub state: String,
    /// `version`.
    pub version: i64,
}

impl Sighting {
    /// The replica still showed an older state than the primary.
    pub fn met_an_older_state(&self) -> bool {
        let version = |row: &Option<Row>| row.as_ref().map(|row| row.version);
        version(&self.reader) < version(&self.writer)
    }

    /// A handler that decides by the replica would have answered 400 `Wrong migration state`: the notification
    /// would have been lost.
    pub fn would_be_refused_by_the_replica(&self) -> bool {
        let state = self.reader.as_ref().and_then(|row| MigrationState::parse(&row.state).ok());
        let active = matches!(state, Some(MigrationState::PreImporting | MigrationState::Importing));
        self.met_an_older_state() && !active
    }
}

#[derive(Debug)]
struct Inner {
    forward_to: String,
    http: reqwest::Client,
    writer: Debugless<Client>,
    reader: Debugless<Client>,
    sightings: Mutex<Vec<Sighting>>,
    unseen: Mutex<usize>,
}

struct Debugless<T>(T);

impl<T> std::fmt::Debug for Debugless<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl Witness {
    /// Listens on a free port and passes everything on to `forward_to`.
    pub(crate) async fn start(host: IpAddr, forward_to: &str, pair: &Pair) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((host, 0)).await?;
        let port = listener.local_addr()?.port();
        let inner = Arc::new(Inner {
            forward_to: forward_to.to_owned(),
            http: reqwest::Client::builder().timeout(Duration::from_secs(40)).build()?,
            writer: Debugless(pair.writer().connect().await?),
            reader: Debugless(pair.reader().connect().await?),
            sightings: Mutex::default(),
            unseen: Mutex::default(),
        });
        let app = Router::new().fallback(pass_on).with_state(Arc::clone(&inner));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "the witness ended");
            }
        });
        Ok(Self { port, inner, server })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What was seen so far, a sighting per notification, in the order of their answers.
    pub fn sightings(&self) -> Vec<Sighting> {
        self.inner.sightings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many notifications were passed on without a look, because a database did not answer.
    pub fn unseen(&self) -> usize {
        *self.inner.unseen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Inner {
    /// The replica first: looking at the primary first could make it seem fresher than it was.
    async fn look(&self, path: &str) -> Result<Sighting, tokio_postgres::Error> {
        let reader = row(&self.reader.0, path).await?;
        let writer = row(&self.writer.0, path).await?;
        Ok(Sighting { path: path.to_owned(), writer, reader, answered: None })
    }

    async fn forward(&self, target: &str, headers: HeaderMap, body: Bytes) -> reqwest::Result<Response> {
        let mut request = self.http.put(format!("{}{target}", self.forward_to)).body(body);
        for (name, value) in &headers {
            if name != header::HOST && name != header::CONTENT_LENGTH && name != header::CONNECTION {
                request = request.header(name, value);
            }
        }
        let answer = request.send().await?;
        let status = answer.status();
        let kind = answer.headers().get(header::CONTENT_TYPE).cloned();
        let mut response = (status, answer.bytes().await?).into_response();
        match kind {
            Some(kind) => response.headers_mut().insert(header::CONTENT_TYPE, kind),
            None => response.headers_mut().remove(header::CONTENT_TYPE),
        };
        Ok(response)
    }
}

async fn row(client: &Client, path: &str) -> Result<Option<Row>, tokio_postgres::Error> {
    let query = "SELECT migration_state, version FROM container_repositories WHERE path = $1";
    let row = client.query_opt(query, &[&path]).await?;
    Ok(row.map(|row| Row { state: row.get(0), version: row.get(1) }))
}

async fn pass_on(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body): (_, Body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let Ok(body) = axum::body::to_bytes(body, BODY_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let path = parts.uri.path().strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX));
    let seen = match path {
        Some(path) => inner.look(path).await.map(Some),
        None => Ok(None),
    };
    let response = inner.forward(&target, parts.headers, body).await;
    let answered = response.as_ref().ok().map(|response| response.status().as_u16());
    match seen {
        Ok(Some(sighting)) => {
            let sighting = Sighting { answered, ..sighting };
            inner.sightings.lock().unwrap_or_else(PoisonError::into_inner).push(sighting);
        }
        Ok(None) => {}
        Err(error) => {
            tracing::warn!(%error, "a notification was passed on unseen");
            *inner.unseen.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        }
    }
    response.unwrap_or_else(|error| {
        tracing::warn!(error = %error.without_url(), "a notification was not answered");
        StatusCode::BAD_GATEWAY.into_response()
    })
}
