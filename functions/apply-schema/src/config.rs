//! What this function is told.

use shared::{
    config::{ClusterArn, SecretArn},
    endpoint::EndpointConfig,
};
use url::Url;

shared::settings! {
    /// What this function is told: the writer with the role that owns the schema, and where the other roles'
    /// passwords are.
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
    }
}

impl Config {
    /// The endpoint that the schema is applied through.
    #[must_use]
    pub fn endpoint(&self) -> EndpointConfig {
        EndpointConfig {
            arn: self.arn.to_string(),
            secret_arn: self.owner_secret_arn.to_string(),
            database: self.database.clone(),
            endpoint_url: self.endpoint_url.as_ref().map(ToString::to_string),
        }
    }
}
