//! What a server is told at its start: clusters, secrets, limits.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// Everything one server needs. Readable from JSON; see the crate's README for an example.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The clusters, by ARN.
    pub clusters: Vec<Cluster>,
    /// The secrets, by ARN.
    pub secrets: Vec<Secret>,
    /// Sizes and times; AWS's by default.
    pub limits: Limits,
    /// The database of a call that names none; None: the one that is called as the role is.
    pub default_database: Option<String>,
    /// The server and the role of every ARN and secret that is not named above.
    pub any_arn: Option<AnyArn>,
    /// A file of authorities (PEM). With it, servers are only spoken to by TLS, and their certificates must come
    /// from one of these and be for the server's name.
    pub tls_ca: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            clusters: Vec::new(),
            secrets: Vec::new(),
            limits: Limits::default(),
            default_database: None,
            any_arn: None,
            tls_ca: None,
        }
    }
}

/// One cluster: an ARN and the PostgreSQL server that answers for it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// What callers name in `resourceArn`.
    pub arn: String,
    /// The server's host name or address.
    pub host: String,
    /// The server's port.
    pub port: u16,
    /// Whether the cluster takes calls at all.
    #[serde(default)]
    pub state: ClusterState,
}

impl Cluster {
    /// A cluster that is there and takes calls.
    pub fn new(arn: impl Into<String>, host: impl Into<String>, port: u16) -> Self {
        Self { arn: arn.into(), host: host.into(), port, state: ClusterState::Available }
    }
}

/// One server, and one role on it, behind whatever ARNs a caller names.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnyArn {
    /// The server's host name or address.
    pub host: String,
    /// The server's port.
    pub port: u16,
    /// The PostgreSQL role.
    pub username: String,
    /// Its password, sent if the server asks for one.
    pub password: String,
}

impl fmt::Debug for AnyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyArn")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// Why a cluster does not take calls, if it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterState {
    /// Calls go to the server.
    #[default]
    Available,
    /// No writer instance, as a global database's secondary before its promotion:
    /// `DatabaseUnavailableException`.
    NoWriter,
    /// A cluster without any instance: `DatabaseNotFoundException`.
    NoInstance,
    /// The HTTP endpoint was never enabled: `HttpEndpointNotEnabledException`.
    HttpEndpointDisabled,
    /// Being changed, stopped or deleted: `InvalidResourceStateException`.
    InvalidState,
}

/// One secret: the database user behind an ARN.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// What callers name in `secretArn`. The name after `:secret:` is accepted as well, and either without the dash
    /// and the six characters that Secrets Manager puts at the end.
    pub arn: String,
    /// The PostgreSQL role.
    pub username: String,
    /// Its password, sent if the server asks for one.
    pub password: String,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("arn", &self.arn)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// Sizes in bytes, times in milliseconds where read from JSON.
///
/// The defaults are AWS's published limits; tests make them small.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The whole HTTP request, headers included: 4 MiB.
    pub request_bytes: usize,
    /// The `sql` text, in characters: 65,536.
    pub sql_characters: usize,
    /// The result set as PostgreSQL writes it, 2 bytes for each row and 4 for each of its columns counted too: 1 MiB.
    pub response_bytes: usize,
    /// `formattedRecords`: 10 MiB.
    pub formatted_bytes: usize,
    /// What the journal keeps: 64 MiB. Not AWS's.
    pub journal_bytes: usize,
    /// How long the head of a request may take, which a connection that rests is in as well: 2 minutes. Not AWS's.
    #[serde(with = "milliseconds")]
    pub header: Duration,
    /// How long its body may take: 1 minute. Not AWS's.
    #[serde(with = "milliseconds")]
    pub request: Duration,
    /// One call, unless `continueAfterTimeout`: 45 s.
    #[serde(with = "milliseconds")]
    pub call: Duration,
    /// A transaction without a call: 3 minutes.
    #[serde(with = "milliseconds")]
    pub transaction_idle: Duration,
    /// A transaction's whole life: 24 hours.
    #[serde(with = "milliseconds")]
    pub transaction_life: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            request_bytes: 4 * MIB,
            sql_characters: 65_536,
            response_bytes: MIB,
            formatted_bytes: 10 * MIB,
            journal_bytes: 64 * MIB,
            header: Duration::from_secs(2 * 60),
            request: Duration::from_secs(60),
            call: Duration::from_secs(45),
            transaction_idle: Duration::from_secs(3 * 60),
            transaction_life: Duration::from_secs(24 * 60 * 60),
        }
    }
}

impl Limits {
    /// What one statement may bind in all: as much as a request holds. Each occurrence of a name is bound by itself.
    pub(crate) fn bound_bytes(&self) -> usize {
        self.request_bytes
    }
}

mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer};

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
