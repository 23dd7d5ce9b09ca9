//! The configuration of this function.

use shared::{
    config::{ClusterArn, Environment, FromEnvironment, SecretArn, Topology},
    endpoint::EndpointConfig,
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
        /// Secrets that other functions read, looked at once so that the stack is told of one that is of no use.
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

impl FromEnvironment for ReaderNeeds {
    fn read(environment: &mut Environment<'_>) -> Option<Self> {
        let topology: Option<Topology> = environment.required("TOPOLOGY");
        let writer: Option<ClusterArn> = environment.required("WRITER_ARN");
        let user: Option<Option<String>> = environment.optional("READER_USER");
        let replica = Told {
            arn: environment.optional("READER_ARN"),
            endpoint_url: environment.optional("READER_ENDPOINT_URL"),
            owner_secret_arn: environment.optional("READER_OWNER_SECRET_ARN"),
            replication_secret_arn: environment.optional("REPLICATION_SECRET_ARN"),
            writer_host: environment.optional("WRITER_HOST"),
            writer_port: environment.optional("WRITER_PORT"),
        };
        match topology? {
            Topology::ReplicaCluster => {
                environment.refuse_told("READER_USER", &user, "only with TOPOLOGY=direct-reader");
                let replica = replica.all(environment);
                if replica.as_ref().is_some_and(|replica| Some(&replica.arn) == writer.as_ref()) {
                    environment.refuse("READER_ARN", "the writer's own cluster is TOPOLOGY=single");
                }
                replica.map(Self::Replica)
            }
            topology => {
                replica.none(environment);
                if topology == Topology::Single {
                    environment.refuse_told("READER_USER", &user, "only with TOPOLOGY=direct-reader");
                }
                match user? {
                    Some(user) if user == READER => Some(Self::Proxy),
                    Some(user) if RESERVED.iter().any(|of| user.starts_with(of)) => {
                        environment.refuse(
                            "READER_USER",
                            "names that begin with migration_, pg_ or rds are somebody else's: choose another one, for \
                             example reader_iam",
                        );
                        None
                    }
                    Some(user) => Some(Self::IamUser(user)),
                    None => Some(Self::Nothing),
                }
            }
        }
    }
}

/// What the environment says about a second cluster; the outer None: something that it cannot be.
struct Told {
    arn: Option<Option<ClusterArn>>,
    endpoint_url: Option<Option<Url>>,
    owner_secret_arn: Option<Option<SecretArn>>,
    replication_secret_arn: Option<Option<SecretArn>>,
    writer_host: Option<Option<String>>,
    writer_port: Option<Option<u16>>,
}

impl Told {
    fn all(self, environment: &mut Environment<'_>) -> Option<Replica> {
        let arn = environment.needed("READER_ARN", self.arn);
        let owner_secret_arn = environment.needed("READER_OWNER_SECRET_ARN", self.owner_secret_arn);
        let replication_secret_arn =
            environment.needed("REPLICATION_SECRET_ARN", self.replication_secret_arn);
        let writer_host = environment.needed("WRITER_HOST", self.writer_host);
        let writer_port = environment.needed("WRITER_PORT", self.writer_port);
        Some(Replica {
            arn: arn?,
            endpoint_url: self.endpoint_url?,
            owner_secret_arn: owner_secret_arn?,
            replication_secret_arn: replication_secret_arn?,
            writer_host: writer_host?,
            writer_port: writer_port?,
        })
    }

    fn none(&self, environment: &mut Environment<'_>) {
        let reason = "only with TOPOLOGY=replica-cluster";
        environment.refuse_told("READER_ARN", &self.arn, reason);
        environment.refuse_told("READER_ENDPOINT_URL", &self.endpoint_url, reason);
        environment.refuse_told("READER_OWNER_SECRET_ARN", &self.owner_secret_arn, reason);
        environment.refuse_told("REPLICATION_SECRET_ARN", &self.replication_secret_arn, reason);
        environment.refuse_told("WRITER_HOST", &self.writer_host, reason);
        environment.refuse_told("WRITER_PORT", &self.writer_port, reason);
    }
}

impl Config {
    /// The endpoint that the schema is applied through.
    #[must_use]
    pub fn endpoint(&self) -> EndpointConfig {
        endpoint(&self.arn, &self.owner_secret_arn, self.endpoint_url.as_ref(), &self.database)
    }

    /// The one that a second cluster's schema is applied through.
    #[must_use]
    pub fn replica_endpoint(&self, replica: &Replica) -> EndpointConfig {
        endpoint(&replica.arn, &replica.owner_secret_arn, replica.endpoint_url.as_ref(), &self.database)
    }
}

fn endpoint(arn: &ClusterArn, secret: &SecretArn, url: Option<&Url>, database: &str) -> EndpointConfig {
    EndpointConfig {
        arn: arn.to_string(),
        secret_arn: secret.to_string(),
        database: database.to_owned(),
        endpoint_url: url.map(ToString::to_string),
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
        let told: BTreeMap<&str, &str> = [
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
        from_source::<Config>(&|name| told.get(name).map(ToString::to_string)).map(|config| config.reader)
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
                assert!(error.contains(&format!("{name} is wrong: only with")), "{topology}: {error}");
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
            assert!(error.contains("READER_USER is wrong"), "{topology}: {error}");
        }
        let user: Vec<_> = REPLICA.into_iter().chain([("READER_USER", "x")]).collect();
        assert!(read("replica-cluster", &user).is_err());
        let same = REPLICA.map(|(name, value)| (name, if name == "READER_ARN" { CLUSTER } else { value }));
        let error = read("replica-cluster", &same).unwrap_err().to_string();
        assert!(error.contains("READER_ARN is wrong: the writer's own cluster"), "{error}");
        assert!(read("none", &[]).unwrap_err().to_string().contains("TOPOLOGY is wrong"));
    }
}
