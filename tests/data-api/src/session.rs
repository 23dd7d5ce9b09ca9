//! One connection to a server, with the statements that are prepared on it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::config::SslMode;
use tokio_postgres::types::Type;
use tokio_postgres::{CancelToken, Client, NoTls, Statement};

use crate::bounded::{Bounded, Oversized};
use crate::dial::{Dialer, TO_CONNECT};
use crate::error::ApiError;
use crate::pool::Target;

/// How many statements a connection keeps: sqlx's default.
const STATEMENTS: usize = 100;
/// How much text of statements a connection keeps.
const TEXT: usize = 1024 * 1024;
/// A server that has gone takes no longer to be found out.
const TO_ANSWER: Duration = Duration::from_secs(5);

/// A connection that serves one call at a time.
pub(crate) struct Session {
    pub(crate) client: Client,
    /// Whether a row was too large to be looked at.
    pub(crate) oversized: Oversized,
    /// The most that one statement has bound on it, in bytes.
    pub(crate) sent: usize,
    stopper: Stopper,
    kept: VecDeque<Kept>,
    text: usize,
    prepared: u64,
}

struct Kept {
    text: Arc<str>,
    types: Vec<Type>,
    prepared: Prepared,
}

/// A statement that is prepared on a connection, and its number there.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub(crate) statement: Statement,
    pub(crate) number: u64,
    /// It was prepared by an earlier use.
    pub(crate) again: bool,
}

impl Prepared {
    /// What the real service calls it in its errors.
    pub(crate) fn name(&self) -> String {
        format!("sqlx_s_{}", self.number)
    }
}

/// What can stop whatever runs on a connection.
#[derive(Clone)]
pub(crate) struct Stopper {
    token: CancelToken,
    target: Arc<Target>,
    dialer: Dialer,
}

impl Stopper {
    /// Asks PostgreSQL to stop what the connection is doing.
    pub(crate) async fn stop(&self) {
        let stopped = tokio::time::timeout(TO_CONNECT, async {
            let stream = self.dialer.dial(&self.target.host, self.target.port).await?;
            self.token.cancel_query_raw(stream, NoTls).await.map_err(std::io::Error::other)
        });
        match stopped.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "a statement could not be cancelled"),
            Err(_) => tracing::warn!("a statement could not be cancelled in time"),
        }
    }
}

impl Session {
    /// A new connection. Time zone UTC, as behind the real Data API. No message of the server is held whole that is
    /// longer than `largest` bytes.
    pub(crate) async fn connect(dialer: &Dialer, target: &Target, largest: usize) -> Result<Self, ApiError> {
        let oversized = Oversized::default();
        let connected = tokio::time::timeout(TO_CONNECT, async {
            let stream = dialer.dial(&target.host, target.port).await.map_err(|error| {
                tracing::debug!(%error, host = %target.host, port = target.port, "no connection");
                ApiError::no_writer()
            })?;
            tokio_postgres::Config::new()
                .user(&target.user)
                .password(&target.password)
                .dbname(&target.database)
                .application_name("local-data-api")
                .options("-c TimeZone=UTC")
                .ssl_mode(SslMode::Disable)
                .connect_raw(Bounded::new(stream, largest, oversized.clone()), NoTls)
                .await
                .map_err(|error| ApiError::from_connect(&error))
        });
        let (client, connection) = connected.await.unwrap_or_else(|_| Err(ApiError::no_writer()))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended");
            }
        });
        let token = client.cancel_token();
        let stopper = Stopper { token, target: Arc::new(target.clone()), dialer: dialer.clone() };
        Ok(Self { client, oversized, stopper, sent: 0, kept: VecDeque::new(), text: 0, prepared: 0 })
    }

    /// What stops the connection's work from beside it.
    pub(crate) fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Whether the server answers on it.
    pub(crate) async fn answers(&self) -> bool {
        if self.client.is_closed() {
            return false;
        }
        matches!(tokio::time::timeout(TO_ANSWER, self.client.check_connection()).await, Ok(Ok(())))
    }

    /// The statement, prepared now unless it was before with parameters of these types. The real service keeps
    /// them too: so a plan for any values may serve from the sixth use on.
    pub(crate) async fn prepare(
        &mut self,
        text: &Arc<str>,
        types: &[Type],
    ) -> Result<Prepared, tokio_postgres::Error> {
        if let Some(at) = self.kept.iter().position(|kept| kept.text == *text && kept.types == types)
            && let Some(kept) = self.kept.remove(at)
        {
            let prepared = Prepared { again: true, ..kept.prepared.clone() };
            self.kept.push_back(kept);
            return Ok(prepared);
        }
        let statement = self.client.prepare_typed(text, types).await?;
        self.prepared += 1;
        let prepared = Prepared { statement, number: self.prepared, again: false };
        self.text += text.len();
        self.kept.push_back(Kept { text: text.clone(), types: types.to_vec(), prepared: prepared.clone() });
        while self.kept.len() > STATEMENTS || self.text > TEXT {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.text -= oldest.text.len();
        }
        Ok(prepared)
    }

    /// Prepares the statement anew at its next use.
    pub(crate) fn forget(&mut self, prepared: &Prepared) {
        self.kept.retain(|kept| kept.prepared.number != prepared.number);
        self.text = self.kept.iter().map(|kept| kept.text.len()).sum();
    }
}
