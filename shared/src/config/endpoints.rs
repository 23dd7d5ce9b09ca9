use url::Url;

use super::{ReaderConfig, WriterAddress, WriterConfig};
use crate::endpoint::EndpointConfig;

impl WriterConfig {
    /// The endpoint that may be written through.
    #[must_use]
    pub fn endpoint(&self) -> EndpointConfig {
        EndpointConfig {
            arn: self.arn.to_string(),
            secret_arn: self.secret_arn.to_string(),
            database: self.database.clone(),
            endpoint_url: text(self.endpoint_url.as_ref()),
        }
    }
}

impl ReaderConfig {
    /// The endpoint that reads.
    #[must_use]
    pub fn endpoint(&self) -> EndpointConfig {
        EndpointConfig {
            arn: self.arn.to_string(),
            secret_arn: self.secret_arn.to_string(),
            database: self.database.clone(),
            endpoint_url: text(self.endpoint_url.as_ref()),
        }
    }
}

impl WriterAddress {
    /// The writer, with the role of `reader`: it can only SELECT there as well.
    #[must_use]
    pub fn endpoint_with_the_role_of(&self, reader: &ReaderConfig) -> EndpointConfig {
        EndpointConfig {
            arn: self.arn.to_string(),
            secret_arn: reader.secret_arn.to_string(),
            database: reader.database.clone(),
            endpoint_url: text(self.endpoint_url.as_ref()),
        }
    }
}

fn text(url: Option<&Url>) -> Option<String> {
    url.map(ToString::to_string)
}
