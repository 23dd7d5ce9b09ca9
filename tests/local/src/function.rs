//! The functions, each with its own environment and nothing besides.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::names;
use crate::options::Topology;

/// Environment variables by name.
pub type Environment = BTreeMap<String, String>;

/// One of the deployed functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Function {
    /// Begins one repository's migration.
    StartMigration,
    /// Receives the registry's notifications.
    RegistryNotification,
    /// Shows how migrations stand.
    MigrationStatus,
    /// Registers, retries, cancels, skips, reopens, and changes the settings.
    ManageMigrations,
    /// Fills free slots on a schedule.
    EnqueueMigrations,
    /// Looks after what seems stuck, on a schedule.
    GuardMigrations,
    /// Counts, and measures the lag of the replica, on a schedule.
    ObserveMigrations,
    /// Creates and upgrades the schema, when a stack is deployed.
    ApplySchema,
}

impl Function {
    /// All that work on a database with its schema: apply-schema is started where it is the point.
    pub const ALL: [Self; 7] = [
        Self::StartMigration,
        Self::RegistryNotification,
        Self::MigrationStatus,
        Self::ManageMigrations,
        Self::EnqueueMigrations,
        Self::GuardMigrations,
        Self::ObserveMigrations,
    ];

    /// The crate's, the binary's and the function's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StartMigration => "start-migration",
            Self::RegistryNotification => "registry-notification",
            Self::MigrationStatus => "migration-status",
            Self::ManageMigrations => "manage-migrations",
            Self::EnqueueMigrations => "enqueue-migrations",
            Self::GuardMigrations => "guard-migrations",
            Self::ObserveMigrations => "observe-migrations",
            Self::ApplySchema => "apply-schema",
        }
    }

    /// A request that it turns away without looking at anything: answered once it runs. None for a function
    /// without a route.
    pub(crate) const fn probe(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::StartMigration => Some(("POST", "/migrations/start/probe")),
            Self::RegistryNotification => {
                Some(("PUT", "/api/v4/internal/registry/repositories/probe/migration/status"))
            }
            Self::MigrationStatus => Some(("GET", "/migrations")),
            Self::ManageMigrations => Some(("POST", "/repositories")),
            Self::EnqueueMigrations | Self::GuardMigrations | Self::ObserveMigrations | Self::ApplySchema => {
                None
            }
        }
    }

    /// Its environment in the local stack. The same names as when deployed.
    pub(crate) fn environment(self, surroundings: &Surroundings) -> Environment {
        let mut environment = Environment::new();
        let mut tell = |pairs: &[(&str, &str)]| {
            environment.extend(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        };
        tell(&[
            ("AWS_REGION", names::REGION),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_ENDPOINT_URL_RDS_DATA", &surroundings.data_api_url),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &surroundings.secrets_url),
            ("LOG_LEVEL", &surroundings.log_level),
            ("DATABASE_NAME", names::DATABASE),
        ]);
        let writer = [("WRITER_ARN", names::WRITER_ARN), ("WRITER_SECRET_ARN", names::WRITER_SECRET_ARN)];
        let registry = [
            ("REGISTRY_URL", surroundings.registry_url.as_str()),
            ("REGISTRY_TOKEN_AUDIENCE", names::TOKEN_AUDIENCE),
            ("REGISTRY_TOKEN_ISSUER", names::TOKEN_ISSUER),
            ("REGISTRY_SIGNING_KEY_SECRET_ARN", names::SIGNING_KEY_SECRET_ARN),
        ];
        let reader: Vec<(&str, &str)> =
            surroundings.reader.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let repeat_seconds = surroundings.repeat.as_secs().to_string();
        let repeat = [("REPEAT_SECONDS", repeat_seconds.as_str())];
        let operator = [("OPERATOR_TOKEN_SECRET_ARN", names::OPERATOR_TOKEN_SECRET_ARN)];
        match self {
            Self::StartMigration | Self::ManageMigrations => {
                tell(&writer);
                tell(&registry);
                tell(&operator);
            }
            Self::RegistryNotification => {
                tell(&writer);
                tell(&registry);
                tell(&[("NOTIFICATION_SECRET_ARN", names::NOTIFICATION_SECRET_ARN)]);
            }
            Self::MigrationStatus => {
                // The writer's address without its secret: there too this function can only SELECT.
                tell(&writer[..1]);
                tell(&reader);
                tell(&operator);
            }
            Self::EnqueueMigrations => {
                tell(&writer);
                tell(&registry);
                tell(&repeat);
            }
            Self::GuardMigrations => {
                tell(&writer);
                tell(&reader);
                tell(&registry);
                tell(&repeat);
            }
            Self::ObserveMigrations => {
                tell(&writer);
                tell(&reader);
                tell(&[("METRIC_NAMESPACE", "local")]);
            }
            Self::ApplySchema => {
                tell(&writer);
                // Whose password it sets. Where the reader is it is environment only of a cluster that it is to feed.
                tell(&reader[..1]);
                tell(&operator);
                tell(&[
                    ("OWNER_SECRET_ARN", names::OWNER_SECRET_ARN),
                    ("TOPOLOGY", "single"),
                    ("STACK_ID", names::STACK_ID),
                    ("NOTIFICATION_SECRET_ARN", names::NOTIFICATION_SECRET_ARN),
                    ("REGISTRY_SIGNING_KEY_SECRET_ARN", names::SIGNING_KEY_SECRET_ARN),
                ]);
            }
        }
        environment
    }
}

/// Where the things are that functions talk to.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    pub(crate) data_api_url: String,
    pub(crate) secrets_url: String,
    pub(crate) registry_url: String,
    pub(crate) log_level: String,
    /// For how long scheduled functions repeat their round.
    pub(crate) repeat: Duration,
    /// What is said about the reader, to those who are environment.
    pub(crate) reader: Vec<(&'static str, String)>,
}

/// The environment of a function that reads, by topology. `server` is where a reader over TCP listens, and the file
/// with the authority of its certificate.
pub(crate) fn reader(topology: Topology, server: (u16, &Path)) -> Vec<(&'static str, String)> {
    let (port, certificates) = server;
    let mut environment = vec![("READER_SECRET_ARN", names::READER_SECRET_ARN.to_owned())];
    environment.extend(match topology {
        Topology::Single => vec![("TOPOLOGY", "single".to_owned())],
        Topology::StandbyCluster | Topology::ReplicaCluster => {
            vec![("TOPOLOGY", "replica-cluster".to_owned()), ("READER_ARN", names::READER_ARN.to_owned())]
        }
        Topology::DirectReader => vec![
            ("TOPOLOGY", "direct-reader".to_owned()),
            ("READER_HOST", "localhost".to_owned()),
            ("READER_PORT", port.to_string()),
            ("READER_CA_FILE", certificates.display().to_string()),
            ("READER_AUTH", "secret".to_owned()),
        ],
    });
    environment
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use super::{Function, Surroundings, reader};
    use crate::options::Topology;

    fn environment(function: Function) -> super::Environment {
        function.environment(&Surroundings {
            data_api_url: "http://127.0.0.1:1".to_owned(),
            secrets_url: "http://127.0.0.1:2".to_owned(),
            registry_url: "http://127.0.0.1:3".to_owned(),
            log_level: "info".to_owned(),
            repeat: Duration::ZERO,
            reader: reader(Topology::DirectReader, (5432, Path::new("/authority.pem"))),
        })
    }

    #[test]
    fn gives_reader_variables_only_to_functions_that_read() {
        let may = [Function::MigrationStatus, Function::GuardMigrations, Function::ObserveMigrations];
        for function in Function::ALL {
            let reader = environment(function).keys().any(|name| name.starts_with("READER"));
            assert_eq!(reader, may.contains(&function), "{}", function.name());
        }
    }

    #[test]
    fn migration_status_is_not_told_the_secret_that_may_write() {
        assert!(!environment(Function::MigrationStatus).contains_key("WRITER_SECRET_ARN"));
    }
}
