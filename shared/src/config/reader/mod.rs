//! Where the reader is. Each topology wants variables of its own and refuses the others'.

use std::{path::PathBuf, str::FromStr};

use url::Url;

use super::{ClusterArn, Environment, FromEnvironment, SecretArn, Topology, TopologyVariable};

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
#[error("must be secret or iam")]
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

/// What is said about a reader and not used would be taken for true, so it is refused.
const VARIABLES: [TopologyVariable; 7] = [
    TopologyVariable::new::<ClusterArn>("READER_ARN", &[Topology::ReplicaCluster]),
    TopologyVariable::new::<Url>("READER_ENDPOINT_URL", &[Topology::ReplicaCluster]),
    TopologyVariable::new::<String>("READER_HOST", &[Topology::DirectReader]),
    TopologyVariable::new::<u16>("READER_PORT", &[Topology::DirectReader]),
    TopologyVariable::new::<PathBuf>("READER_CA_FILE", &[Topology::DirectReader]),
    TopologyVariable::new::<Auth>("READER_AUTH", &[Topology::DirectReader]),
    TopologyVariable::new::<String>("READER_USER", &[Topology::DirectReader]),
];

impl FromEnvironment for ReaderConfig {
    fn read(environment: &mut Environment<'_>) -> Option<Self> {
        let topology = Topology::read(environment, &VARIABLES);
        let writer: Option<ClusterArn> = environment.required("WRITER_ARN");
        let writer_url = environment.optional("WRITER_ENDPOINT_URL");
        let secret_arn = environment.required("READER_SECRET_ARN");
        let database = environment.required("DATABASE_NAME");
        let place = match topology? {
            Topology::Single => ReaderPlace::Cluster { arn: writer?, endpoint_url: writer_url? },
            Topology::DirectReader => ReaderPlace::Server(read_server(environment)?),
            Topology::ReplicaCluster => read_second_cluster(environment, writer.as_ref())?,
        };
        Some(Self { place, secret_arn: secret_arn?, database: database? })
    }
}

fn read_second_cluster(
    environment: &mut Environment<'_>,
    writer: Option<&ClusterArn>,
) -> Option<ReaderPlace> {
    let arn = environment.required("READER_ARN")?;
    if writer == Some(&arn) {
        environment.refuse("READER_ARN", "the writer's own cluster is TOPOLOGY=single");
    }
    Some(ReaderPlace::Cluster { arn, endpoint_url: environment.optional("READER_ENDPOINT_URL")? })
}

fn read_server(environment: &mut Environment<'_>) -> Option<ReaderServer> {
    let host = environment.required("READER_HOST");
    let port = environment.optional("READER_PORT");
    let certificates = environment.required("READER_CA_FILE");
    let auth = match environment.required("READER_AUTH") {
        Some(Auth::Secret) => {
            environment.refuse_unused("READER_USER", "READER_AUTH=secret");
            Some(ReaderAuth::Secret)
        }
        Some(Auth::Iam) => environment.required("READER_USER").map(|user| ReaderAuth::Iam { user }),
        None => None,
    };
    Some(ReaderServer { host: host?, port: port?.unwrap_or(PORT), certificates: certificates?, auth: auth? })
}

#[cfg(test)]
mod tests;
