//! How things are called in every local stack.

/// The database.
pub const DATABASE: &str = postgres_pair::DATABASE;
/// The role behind the writer's secret: reads and writes.
pub(crate) const WRITER_ROLE: &str = "migration_driver";
/// The role of whoever copies repositories: reads and writes tables of its own.
pub(crate) const IMPORTER_ROLE: &str = "migration_importer";
/// The role behind the reader's secret: SELECT only.
pub(crate) const READER_ROLE: &str = "migration_reader";
/// The role as which a second cluster replicates the first.
pub(crate) const REPLICATION_ROLE: &str = "migration_replication";
/// The role behind the owner's secret: owns the database and may create roles, like a cluster's master user. No
/// superuser: nobody is one there.
pub const OWNER_ROLE: &str = "migration_owner";

/// The password of both, where one is asked for.
pub(crate) const PASSWORD: &str = "local";

pub(crate) const REGION: &str = "eu-central-1";

/// The cluster whose Data API runs on the primary.
pub const WRITER_ARN: &str = "arn:aws:rds:eu-central-1:123456789012:cluster:writer";
/// The stand-in for the reader: its Data API runs on the standby.
pub const READER_ARN: &str = "arn:aws:rds:eu-central-1:123456789012:cluster:reader";

/// The secret of the role that may write.
pub const WRITER_SECRET_ARN: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:writer";
/// The secret of the role that can only SELECT.
pub const READER_SECRET_ARN: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:reader";
/// The secret of the role as which a second cluster replicates the first.
pub const REPLICATION_SECRET_ARN: &str =
    "arn:aws:secretsmanager:eu-central-1:123456789012:secret:replication";
/// The secret of the role that owns the database.
pub const OWNER_SECRET_ARN: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:owner";
/// The stack that the functions would be part of.
pub const STACK_ID: &str = "arn:aws:cloudformation:eu-central-1:123456789012:stack/driver/1";

/// The secret that signs the tokens for the registry.
pub const SIGNING_KEY_SECRET_ARN: &str =
    "arn:aws:secretsmanager:eu-central-1:123456789012:secret:registry-signing-key";
/// The secret that the registry shows.
pub const NOTIFICATION_SECRET_ARN: &str =
    "arn:aws:secretsmanager:eu-central-1:123456789012:secret:registry-notification";
/// The token that operators show.
pub const OPERATOR_TOKEN_SECRET_ARN: &str =
    "arn:aws:secretsmanager:eu-central-1:123456789012:secret:operator-token";

pub(crate) const TOKEN_AUDIENCE: &str = "container_registry";
pub(crate) const TOKEN_ISSUER: &str = "registry-migration-driver";
