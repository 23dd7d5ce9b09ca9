//! The configuration of this function.

use shared::{
    config::{ClusterArn, Environment, FromEnvironment, SecretArn, Topology, TopologyVariable},
    endpoint::EndpointConfig,
    wiring::data_api_endpoint,
};
use url::Url;

shared::config! {
    /// The configuration of this function: the writer with the role that owns the schema, where the other roles'
    /// passwords are, and what the reader needs besides.
    pub struct Config {
        /// The cluster.
        pub arn: ClusterArn = required "WRITER_ARN",
        /// Where the Data API is, if not where the SDK looks.
        pub endpoint_url: Option<Url> = optional "WRITER_ENDPOINT_URL",
        /// The database.
        pub database: String = required "DATABASE_NAME",
        /// The secret of the role that owns the schema and may create roles.
        pub owner_secret_arn: SecretArn = required "OWNER_SECRET_ARN",
        /// The secret of `migration_driver`.
        pub writer_secret_arn: SecretArn = required "WRITER_SECRET_ARN",
        /// The secret of `migration_reader`.
        pub reader_secret_arn: SecretArn = required "READER_SECRET_ARN",
        /// The stack that this is part of.
        pub stack_id: String = required "STACK_ID",
        /// Secrets that other functions read, looked at once so that the stack hears of one that is of no use.
        pub shown: Shown = flatten,
        /// What the topology asks for.
        pub reader: ReaderNeeds = flatten,
    }
}

shared::config! {
    /// Secrets that are none of the database's.
    pub struct Shown {
        /// What the registry shows.
        pub notification: SecretArn = required "NOTIFICATION_SECRET_ARN",
        /// What operators show.
        pub operator_token: SecretArn = required "OPERATOR_TOKEN_SECRET_ARN",
        /// What signs the tokens for the registry.
        pub signing_key: SecretArn = required "REGISTRY_SIGNING_KEY_SECRET_ARN",
    }
}

/// What is made for the reader, besides the role `migration_reader`.
#[derive(Clone, Debug)]
pub enum ReaderNeeds {
    /// Nothing: it is the writer's cluster, or one of its servers, and asks for a password.
    Nothing,
    /// Nothing either: a proxy takes the tokens of `migration_reader`, and shows its password.
    Proxy,
    /// A role that logs in by IAM tokens (`direct-reader`).
    IamUser(String),
    /// A second cluster that replicates the first (`replica-cluster`).
    Replica(Replica),
}

/// A second cluster.
#[derive(Clone, Debug)]
pub struct Replica {
    /// The cluster.
    pub arn: ClusterArn,
    /// Where the Data API is, if not where the SDK looks.
    pub endpoint_url: Option<Url>,
    /// The secret of the role that owns the schema there and may create roles.
    pub owner_secret_arn: SecretArn,
    /// The secret of `migration_replication`, as which it logs in to the first cluster.
    pub replication_secret_arn: SecretArn,
    /// The first cluster's writer endpoint.
    pub writer_host: String,
    /// Its port.
    pub writer_port: u16,
}

/// As which a proxy logs in: its tokens need no role of their own.
const READER: &str = "migration_reader";

/// How names begin that are the driver's own, PostgreSQL's or the service's.
const RESERVED: [&str; 3] = ["migration_", "pg_", "rds"];

const VARIABLES: [TopologyVariable; 7] = [
    TopologyVariable::new::<String>("READER_USER", &[Topology::DirectReader]),
    TopologyVariable::new::<ClusterArn>("READER_ARN", &[Topology::ReplicaCluster]),
    TopologyVariable::new::<Url>("READER_ENDPOINT_URL", &[Topology::ReplicaCluster]),
    TopologyVariable::new::<SecretArn>("READER_OWNER_SECRET_ARN", &[Topology::ReplicaCluster]),
    TopologyVariable::new::<SecretArn>("REPLICATION_SECRET_ARN", &[Topology::ReplicaCluster]),
    TopologyVariable::new::<String>("WRITER_HOST", &[Topology::ReplicaCluster]),
    TopologyVariable::new::<u16>("WRITER_PORT", &[Topology::ReplicaCluster]),
];

impl FromEnvironment for ReaderNeeds {
    fn read(environment: &mut Environment<'_>) -> Option<Self> {
        match Topology::read(environment, &VARIABLES)? {
            Topology::Single => Some(Self::Nothing),
            Topology::DirectReader => read_user(environment),
            Topology::ReplicaCluster => read_replica(environment).map(Self::Replica),
        }
    }
}

fn read_user(environment: &mut Environment<'_>) -> Option<ReaderNeeds> {
    let Some(user) = environment.optional::<String>("READER_USER")? else {
        return Some(ReaderNeeds::Nothing);
    };
    if user == READER {
        return Some(ReaderNeeds::Proxy);
    }
    if RESERVED.iter().any(|of| user.starts_with(of)) {
        environment.refuse(
            "READER_USER",
            "names that begin with migration_, pg_ or rds are somebody else's: choose another one, for example \
             reader_iam",
        );
        return None;
    }
    Some(ReaderNeeds::IamUser(user))
}

fn read_replica(environment: &mut Environment<'_>) -> Option<Replica> {
    let writer: Option<ClusterArn> = environment.required("WRITER_ARN");
    let arn = environment.required("READER_ARN");
    if arn.is_some() && arn == writer {
        environment.refuse("READER_ARN", "the writer's own cluster is TOPOLOGY=single");
    }
    let endpoint_url = environment.optional("READER_ENDPOINT_URL");
    let owner_secret_arn = environment.required("READER_OWNER_SECRET_ARN");
    let replication_secret_arn = environment.required("REPLICATION_SECRET_ARN");
    let writer_host = environment.required("WRITER_HOST");
    let writer_port = environment.required("WRITER_PORT");
    Some(Replica {
        arn: arn?,
        endpoint_url: endpoint_url?,
        owner_secret_arn: owner_secret_arn?,
        replication_secret_arn: replication_secret_arn?,
        writer_host: writer_host?,
        writer_port: writer_port?,
    })
}

impl Config {
    /// The endpoint that the schema is applied through.
    #[must_use]
    pub fn endpoint(&self) -> EndpointConfig {
        data_api_endpoint(&self.arn, &self.owner_secret_arn, &self.database, self.endpoint_url.as_ref())
    }

    /// The one that a second cluster's schema is applied through.
    #[must_use]
    pub fn replica_endpoint(&self, replica: &Replica) -> EndpointConfig {
        let url = replica.endpoint_url.as_ref();
        data_api_endpoint(&replica.arn, &replica.owner_secret_arn, &self.database, url)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use shared::config::{ConfigError, from_source};

    use super::{Config, ReaderNeeds};

    const CLUSTER: &str = "arn:aws:rds:eu-central-1:123456789012:cluster:one";
    const SECRET: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:one";
    const REPLICA: [(&str, &str); 5] = [
        ("READER_ARN", "arn:aws:rds:eu-central-1:123456789012:cluster:two"),
        ("READER_OWNER_SECRET_ARN", SECRET),
        ("REPLICATION_SECRET_ARN", SECRET),
        ("WRITER_HOST", "cluster.example"),
        ("WRITER_PORT", "5432"),
    ];

    fn read(topology: &str, more: &[(&str, &str)]) -> Result<ReaderNeeds, ConfigError> {
        let given: BTreeMap<&str, &str> = [
            ("WRITER_ARN", CLUSTER),
            ("DATABASE_NAME", "migrations"),
            ("OWNER_SECRET_ARN", SECRET),
            ("WRITER_SECRET_ARN", SECRET),
            ("READER_SECRET_ARN", SECRET),
            ("STACK_ID", "arn:aws:cloudformation:eu-central-1:123456789012:stack/driver/1"),
            ("NOTIFICATION_SECRET_ARN", SECRET),
            ("OPERATOR_TOKEN_SECRET_ARN", SECRET),
            ("REGISTRY_SIGNING_KEY_SECRET_ARN", SECRET),
            ("TOPOLOGY", topology),
        ]
        .into_iter()
        .chain(more.iter().copied())
        .collect();
        from_source::<Config>(&|name| given.get(name).map(ToString::to_string)).map(|config| config.reader)
    }

    #[test]
    fn each_topology_has_its_own_needs() {
        assert!(matches!(read("single", &[]), Ok(ReaderNeeds::Nothing)));
        assert!(matches!(read("direct-reader", &[]), Ok(ReaderNeeds::Nothing)));
        let proxy = read("direct-reader", &[("READER_USER", "migration_reader")]);
        assert!(
            matches!(proxy, Ok(ReaderNeeds::Proxy)),
            "a proxy takes the token, the role keeps its password"
        );
        let own = read("direct-reader", &[("READER_USER", "reader_iam")]);
        assert!(matches!(own, Ok(ReaderNeeds::IamUser(user)) if user == "reader_iam"));
        let Ok(ReaderNeeds::Replica(replica)) = read("replica-cluster", &REPLICA) else {
            panic!("a replica")
        };
        assert!(replica.arn.to_string().ends_with(":two") && replica.writer_port == 5432);
    }

    #[test]
    fn what_a_topology_does_not_need_or_lacks_is_named() {
        for (name, _) in REPLICA {
            let others: Vec<_> = REPLICA.into_iter().filter(|(other, _)| *other != name).collect();
            let error = read("replica-cluster", &others).unwrap_err().to_string();
            assert_eq!(error, format!("configuration: {name} is missing"));
            let one: Vec<_> = REPLICA.into_iter().filter(|(other, _)| *other == name).collect();
            for topology in ["single", "direct-reader"] {
                let error = read(topology, &one).unwrap_err().to_string();
                assert!(error.contains(&format!("{name} is not used with TOPOLOGY=")), "{topology}: {error}");
            }
        }
        for (topology, user) in [
            ("single", "x"),
            ("direct-reader", "migration_driver"),
            ("direct-reader", "migration_replication"),
            ("direct-reader", "migration_iam"),
            ("direct-reader", "pg_monitor"),
            ("direct-reader", "rdsadmin"),
            ("direct-reader", "rds_iam"),
        ] {
            let error = read(topology, &[("READER_USER", user)]).unwrap_err().to_string();
            assert!(error.contains("READER_USER is "), "{topology}: {error}");
        }
        let user: Vec<_> = REPLICA.into_iter().chain([("READER_USER", "x")]).collect();
        assert!(read("replica-cluster", &user).is_err());
        let same = REPLICA.map(|(name, value)| (name, if name == "READER_ARN" { CLUSTER } else { value }));
        let error = read("replica-cluster", &same).unwrap_err().to_string();
        assert!(error.contains("READER_ARN is wrong: the writer's own cluster"), "{error}");
        assert!(read("none", &[]).unwrap_err().to_string().contains("TOPOLOGY is wrong"));
    }
}
