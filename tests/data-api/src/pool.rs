//! Connections, a few kept per cluster, user and database.
//!
//! A connection serves one call and is scrubbed before the next: nothing a call sets is seen by another.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio_postgres::{Client, NoTls};

use crate::config::Cluster;
use crate::error::ApiError;

const KEPT: usize = 16;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// `DISCARD ALL` without its `DEALLOCATE ALL`, which would take the client's own prepared statements with it.
/// A call that prepares something by SQL never gives its connection back.
const SCRUB: &str = "SET SESSION AUTHORIZATION DEFAULT; RESET ALL; CLOSE ALL; UNLISTEN *; \
                     SELECT pg_advisory_unlock_all(); DISCARD PLANS; DISCARD TEMP; DISCARD SEQUENCES";

/// Whom to connect as, and where to.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) database: String,
}

impl Target {
    pub(crate) fn new(cluster: &Cluster, user: &str, password: &str, database: &str) -> Self {
        Self {
            host: cluster.host.clone(),
            port: cluster.port,
            user: user.to_owned(),
            password: password.to_owned(),
            database: database.to_owned(),
        }
    }
}

/// The idle connections.
#[derive(Default)]
pub(crate) struct Pool {
    idle: Mutex<HashMap<Target, VecDeque<Client>>>,
}

impl Pool {
    /// A kept connection, which may have died meanwhile. All take turns: what a call left behind despite the
    /// scrubbing would show soon.
    pub(crate) fn take(&self, target: &Target) -> Option<Client> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).get_mut(target)?.pop_front()
    }

    /// Scrubs the connection and keeps it for the next call.
    pub(crate) async fn give_back(&self, target: &Target, client: Client) {
        if client.batch_execute(SCRUB).await.is_err() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.entry(target.clone()).or_default();
        if kept.len() < KEPT {
            kept.push_back(client);
        }
    }

    /// Closes what is kept.
    pub(crate) fn clear(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// A new connection. Time zone UTC, as behind the real Data API.
pub(crate) async fn connect(target: &Target) -> Result<Client, ApiError> {
    let (client, connection) = tokio_postgres::Config::new()
        .host(&target.host)
        .port(target.port)
        .user(&target.user)
        .password(&target.password)
        .dbname(&target.database)
        .application_name("local-data-api")
        .options("-c TimeZone=UTC")
        .connect_timeout(CONNECT_TIMEOUT)
        .connect(NoTls)
        .await
        .map_err(|error| ApiError::from_connect(&error))?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended");
        }
    });
    Ok(client)
}
