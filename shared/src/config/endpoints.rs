use url::Url;

use super::{ClusterArn, ReaderConfig, WriterAddress, WriterConfig};
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

    /// Where it is, for reading there with another role.
    #[must_use]
    pub fn address(&self) -> WriterAddress {
        WriterAddress { arn: self.arn.clone(), endpoint_url: self.endpoint_url.clone() }
    }
}

impl ReaderConfig {
    /// The endpoint that reads, behind the Data API of the cluster `arn`.
    #[must_use]
    pub fn behind_the_data_api(&self, arn: &ClusterArn, endpoint_url: Option<&Url>) -> EndpointConfig {
        EndpointConfig {
            arn: arn.to_string(),
            secret_arn: self.secret_arn.to_string(),
            database: self.database.clone(),
            endpoint_url: text(endpoint_url),
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
