use url::Url;

use super::{ClusterArn, SecretArn};
use crate::config;

config! {
    /// The writer, with the role that may write.
    pub struct WriterConfig {
        /// The cluster.
        pub arn: ClusterArn = required "WRITER_ARN",
        /// The secret of the role that may write.
        pub secret_arn: SecretArn = required "WRITER_SECRET_ARN",
        /// Where the Data API is, if not where the SDK looks.
        pub endpoint_url: Option<Url> = optional "WRITER_ENDPOINT_URL",
        /// The database.
        pub database: String = required "DATABASE_NAME",
    }
}

config! {
    /// Where the writer is, for a function that reads there when the reader is behind or away. It has no secret
    /// of its own: such a function uses the reader's, whose role can only SELECT.
    pub struct WriterAddress {
        /// The cluster.
        pub arn: ClusterArn = required "WRITER_ARN",
        /// Where the Data API is, if not where the SDK looks.
        pub endpoint_url: Option<Url> = optional "WRITER_ENDPOINT_URL",
    }
}

impl WriterConfig {
    /// Where it is, for reading there with another role.
    #[must_use]
    pub fn address(&self) -> WriterAddress {
        WriterAddress { arn: self.arn.clone(), endpoint_url: self.endpoint_url.clone() }
    }
}
