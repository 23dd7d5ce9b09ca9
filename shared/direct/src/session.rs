//! One connection, and one statement on it.

use std::time::{Duration, SystemTime};

use secrecy::ExposeSecret;
use shared::connections::{KEEP_ALIVE, PROBES, UNACKNOWLEDGED};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::{
    Client, Config, Error, Row,
    config::SslMode,
    error::Severity,
    types::{ToSql, Type},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{Access, bind::Bound, login::Proof, server::Server};

/// How long a connection is taken for one without asking: a process that was frozen meanwhile was so for longer.
const FRESH: Duration = Duration::from_secs(1);

/// How long a connection has to show that it still is one.
const TO_ANSWER: Duration = Duration::from_millis(500);

/// A server that is there takes a connection within a fraction of this.
const TO_CONNECT: Duration = Duration::from_secs(2);

/// What the server's own limit for a statement is shorter than ours, at most: its answer then comes in time,
/// and says for certain that the statement was taken back.
const HEAD_START: Duration = Duration::from_millis(100);

/// A connection that no statement is running on.
#[derive(Debug)]
pub(crate) struct Session {
    client: Client,
    used: (Instant, SystemTime),
}

/// Why a connection was not made.
#[derive(Debug)]
pub(crate) enum NoSession {
    Refused(Error),
    TooLate,
}

impl Session {
    /// Connects until `deadline` and not for longer than 2 s.
    pub(crate) async fn open(
        server: &Server,
        tls: MakeRustlsConnect,
        proof: &Proof,
        deadline: Instant,
    ) -> Result<Self, NoSession> {
        let mut config = Config::new();
        config
            .host(&server.host)
            .port(server.port)
            .dbname(&server.database)
            .user(&proof.user)
            .password(proof.password.expose_secret())
            .ssl_mode(SslMode::Require)
            // A server may take its time for a statement; one that is gone is noticed below.
            .keepalives_idle(KEEP_ALIVE)
            .keepalives_interval(KEEP_ALIVE)
            .keepalives_retries(PROBES)
            .tcp_user_timeout(UNACKNOWLEDGED);
        let until = deadline.min(Instant::now() + TO_CONNECT);
        let (client, connection) = timeout_at(until, config.connect(tls))
            .await
            .map_err(|_| NoSession::TooLate)?
            .map_err(NoSession::Refused)?;
        // It ends when the client is dropped, and with an error when the connection does.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the database ended");
            }
        });
        Ok(Self { client, used: now() })
    }

    /// Whether it still is a connection. Asks the server where it was not used for a second by either clock: a
    /// frozen process's monotonic clock may have stood still.
    pub(crate) async fn answers(&self) -> bool {
        if self.client.is_closed() {
            return false;
        }
        let (instant, time) = self.used;
        let rested = instant.elapsed().max(time.elapsed().unwrap_or(FRESH));
        rested < FRESH || matches!(timeout(TO_ANSWER, self.client.check_connection()).await, Ok(Ok(())))
    }

    /// Runs one statement as a transaction of its own, all of it sent in one go.
    ///
    /// A statement that fails leaves its transaction to the `COMMIT` behind it, which ends it as a rollback.
    /// A future that is dropped leaves the session in the middle of something: it must not be used again.
    pub(crate) async fn run(
        &mut self,
        access: Access,
        sql: &str,
        values: &[Bound<'_>],
        deadline: Instant,
    ) -> Result<Vec<Row>, Error> {
        // Whatever the database has of its own: a standby serves no serializable transaction, the tables are in
        // `public`, and times come in UTC, as from the Data API.
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED, {access}; SET LOCAL statement_timeout = {}; \
             SET LOCAL search_path = public; SET LOCAL TimeZone = 'UTC'",
            limit(deadline)
        );
        let typed: Vec<(&(dyn ToSql + Sync), Type)> =
            values.iter().map(|value| (value as &(dyn ToSql + Sync), value.ty())).collect();
        let (began, rows, committed) = tokio::join!(
            biased;
            self.client.batch_execute(&begin),
            self.client.query_typed(sql, &typed),
            self.client.batch_execute("COMMIT"),
        );
        began?;
        let rows = rows?;
        committed?;
        self.used = now();
        Ok(rows)
    }

    /// Whether it can be used after an error: one that the server reported and went on after. After its last words
    /// (FATAL) it only takes a moment until the end is noticed.
    pub(crate) fn survives(&mut self, error: &Error) -> bool {
        self.used = now();
        error.as_db_error().is_some_and(|reported| goes_on(reported.parsed_severity()))
            && !self.client.is_closed()
    }
}

/// Whether a server that tells of something so severe keeps the connection.
fn goes_on(severity: Option<Severity>) -> bool {
    severity == Some(Severity::Error)
}

/// What is left until `deadline`, less the head start, in milliseconds. Zero would mean no limit.
fn limit(deadline: Instant) -> u128 {
    let left = deadline.saturating_duration_since(Instant::now());
    (left - (left / 10).min(HEAD_START)).as_millis().clamp(1, i32::MAX as u128)
}

fn now() -> (Instant, SystemTime) {
    (Instant::now(), SystemTime::now())
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
    use tokio::{net::TcpListener, time::Instant};
    use tokio_postgres_rustls::MakeRustlsConnect;

    use super::{NoSession, Session, Severity, goes_on, limit};
    use crate::server::tests::server;

    #[tokio::test(start_paused = true)]
    async fn gives_up_a_silent_server_within_two_seconds() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = server("127.0.0.1", silent.local_addr().unwrap().port());
        let proof = server.proof().await.unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        // The clock goes on only when there is nothing else to wait for.
        for (left, waited) in [(500, 500), (10_000, 2000)] {
            let began = Instant::now();
            let tls = MakeRustlsConnect::new(config.clone());
            let deadline = began + Duration::from_millis(left);
            let refused = Session::open(&server, tls, &proof, deadline).await.unwrap_err();
            assert!(matches!(refused, NoSession::TooLate), "{refused:?}");
            let waited = Duration::from_millis(waited);
            assert!((waited..waited + Duration::from_millis(10)).contains(&began.elapsed()), "{left}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_servers_limit_ends_before_ours_and_is_never_none() {
        for (left, expected) in [(8000, 7900), (200, 180), (0, 1)] {
            assert_eq!(limit(Instant::now() + Duration::from_millis(left)), expected);
        }
        assert_eq!(limit(Instant::now() + Duration::from_secs(1 << 30)), i32::MAX as u128);
    }

    #[test]
    fn reuses_a_connection_after_errors_but_not_after_fatal_ones() {
        assert!(goes_on(Some(Severity::Error)));
        for last in [Some(Severity::Fatal), Some(Severity::Panic), None] {
            assert!(!goes_on(last), "{last:?}");
        }
    }
}
