//! Where the reader is. Each topology wants variables of its own and refuses the others': what is said about a
//! reader and not used would be taken for true.

use std::{path::PathBuf, str::FromStr};

use url::Url;

use super::{ClusterArn, Environment, SecretArn, Settings};

/// What the two endpoints are. The Data API runs everything on the writer of the cluster it is told, reads too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// One cluster behind the Data API: the reader is the writer. Nothing lags, nothing is offloaded.
    Single,
    /// The reader is reached over TCP: Aurora's `cluster-ro` endpoint or an RDS Proxy's read-only endpoint.
    DirectReader,
    /// The reader is a second cluster behind the Data API, fed by logical replication.
    ReplicaCluster,
}

impl Topology {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Single, Self::DirectReader, Self::ReplicaCluster];

    /// Its name in `TOPOLOGY`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::DirectReader => "direct-reader",
            Self::ReplicaCluster => "replica-cluster",
        }
    }
}

/// The text names no topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("single, direct-reader or replica-cluster is expected")]
pub struct UnknownTopology;

impl FromStr for Topology {
    type Err = UnknownTopology;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|topology| topology.name() == text).ok_or(UnknownTopology)
    }
}

/// The reader, with the role that can only SELECT.
#[derive(Clone, Debug)]
pub struct ReaderConfig {
    /// Where it is.
    pub place: ReaderPlace,
    /// The secret of the role that can only SELECT. On the writer too it is what a reading function shows.
    pub secret_arn: SecretArn,
    /// The database, by the same name on both endpoints.
    pub database: String,
}

/// Where the reader is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReaderPlace {
    /// Behind the Data API: the writer's cluster (`single`) or one of its own (`replica-cluster`).
    Cluster {
        /// The cluster.
        arn: ClusterArn,
        /// Where the Data API is, if not where the SDK looks.
        endpoint_url: Option<Url>,
    },
    /// A server that is connected to (`direct-reader`).
    Server(ReaderServer),
}

/// A server that is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderServer {
    /// Its name, which its certificate must be for.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// A file with the authorities (PEM) that its certificate may come from.
    pub certificates: PathBuf,
    /// What is shown to it.
    pub auth: ReaderAuth,
}

/// What is shown to a reader that is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReaderAuth {
    /// The name and password of the reader's secret.
    Secret,
    /// An IAM token for this user.
    Iam {
        /// The database's user.
        user: String,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Auth {
    Secret,
    Iam,
}

/// The text names no way to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("secret or iam is expected")]
pub struct UnknownAuth;

impl FromStr for Auth {
    type Err = UnknownAuth;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "secret" => Ok(Self::Secret),
            "iam" => Ok(Self::Iam),
            _ => Err(UnknownAuth),
        }
    }
}

/// PostgreSQL's own port, where none is named.
const PORT: u16 = 5432;

impl Settings for ReaderConfig {
    fn read(environment: &mut Environment<'_>) -> Option<Self> {
        let topology: Option<Topology> = environment.required("TOPOLOGY");
        let writer: Option<ClusterArn> = environment.required("WRITER_ARN");
        let writer_url: Option<Option<Url>> = environment.optional("WRITER_ENDPOINT_URL");
        let secret_arn = environment.required("READER_SECRET_ARN");
        let database = environment.required("DATABASE_NAME");
        let told = Told {
            arn: environment.optional("READER_ARN"),
            endpoint_url: environment.optional("READER_ENDPOINT_URL"),
            host: environment.optional("READER_HOST"),
            port: environment.optional("READER_PORT"),
            certificates: environment.optional("READER_CA_FILE"),
            auth: environment.optional("READER_AUTH"),
            user: environment.optional("READER_USER"),
        };
        // Without a topology nobody knows what should be there.
        let place = match topology? {
            Topology::Single => told.single(environment, writer, writer_url),
            Topology::DirectReader => told.server(environment),
            Topology::ReplicaCluster => told.second_cluster(environment, writer.as_ref()),
        };
        Some(Self { place: place?, secret_arn: secret_arn?, database: database? })
    }
}

/// What the environment says about the reader; the outer None: something that it cannot be.
struct Told {
    arn: Option<Option<ClusterArn>>,
    endpoint_url: Option<Option<Url>>,
    host: Option<Option<String>>,
    port: Option<Option<u16>>,
    certificates: Option<Option<PathBuf>>,
    auth: Option<Option<Auth>>,
    user: Option<Option<String>>,
}

impl Told {
    fn single(
        self,
        environment: &mut Environment<'_>,
        arn: Option<ClusterArn>,
        endpoint_url: Option<Option<Url>>,
    ) -> Option<ReaderPlace> {
        let reason = "with TOPOLOGY=single the reader is the writer's cluster";
        self.refuse_a_cluster(environment, reason);
        self.refuse_a_server(environment, reason);
        Some(ReaderPlace::Cluster { arn: arn?, endpoint_url: endpoint_url? })
    }

    fn second_cluster(
        self,
        environment: &mut Environment<'_>,
        writer: Option<&ClusterArn>,
    ) -> Option<ReaderPlace> {
        self.refuse_a_server(environment, "with TOPOLOGY=replica-cluster the reader is behind the Data API");
        let arn = environment.needed("READER_ARN", self.arn)?;
        if writer == Some(&arn) {
            environment.refuse("READER_ARN", "the writer's own cluster is TOPOLOGY=single");
        }
        Some(ReaderPlace::Cluster { arn, endpoint_url: self.endpoint_url? })
    }

    fn server(self, environment: &mut Environment<'_>) -> Option<ReaderPlace> {
        self.refuse_a_cluster(
            environment,
            "with TOPOLOGY=direct-reader the reader is a server, not a cluster",
        );
        let host = environment.needed("READER_HOST", self.host);
        let certificates = environment.needed("READER_CA_FILE", self.certificates);
        let auth = match environment.needed("READER_AUTH", self.auth) {
            Some(Auth::Secret) => {
                environment.refuse_told(
                    "READER_USER",
                    &self.user,
                    "with READER_AUTH=secret the secret has the user",
                );
                Some(ReaderAuth::Secret)
            }
            Some(Auth::Iam) => {
                environment.needed("READER_USER", self.user).map(|user| ReaderAuth::Iam { user })
            }
            None => None,
        };
        Some(ReaderPlace::Server(ReaderServer {
            host: host?,
            port: self.port?.unwrap_or(PORT),
            certificates: certificates?,
            auth: auth?,
        }))
    }

    fn refuse_a_cluster(&self, environment: &mut Environment<'_>, reason: &str) {
        environment.refuse_told("READER_ARN", &self.arn, reason);
        environment.refuse_told("READER_ENDPOINT_URL", &self.endpoint_url, reason);
    }

    fn refuse_a_server(&self, environment: &mut Environment<'_>, reason: &str) {
        environment.refuse_told("READER_HOST", &self.host, reason);
        environment.refuse_told("READER_PORT", &self.port, reason);
        environment.refuse_told("READER_CA_FILE", &self.certificates, reason);
        environment.refuse_told("READER_AUTH", &self.auth, reason);
        environment.refuse_told("READER_USER", &self.user, reason);
    }
}

#[cfg(test)]
#[path = "topology_tests.rs"]
mod tests;
