//! What a server is told at its start: clusters, secrets, limits.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
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
    /// The database of a call that names none.
    pub default_database: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            clusters: Vec::new(),
            secrets: Vec::new(),
            limits: Limits::default(),
            default_database: "postgres".to_owned(),
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
    /// What callers name in `secretArn`; the name after `:secret:` is accepted as well.
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
    /// The result set as the database returns it: 1 MiB.
    pub response_bytes: usize,
    /// One row of it: 64 KiB.
    pub row_bytes: usize,
    /// `formattedRecords`: 10 MiB.
    pub formatted_bytes: usize,
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
            row_bytes: 64 * 1024,
            formatted_bytes: 10 * MIB,
            call: Duration::from_secs(45),
            transaction_idle: Duration::from_secs(3 * 60),
            transaction_life: Duration::from_secs(24 * 60 * 60),
        }
    }
}

mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer};

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
