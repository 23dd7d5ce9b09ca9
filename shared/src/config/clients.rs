use std::time::Duration;

use aws_config::SdkConfig;

use super::{
    ReaderConfig, RegistrySettings, WriterAddress, WriterConfig,
    secrets::{SecretError, SecretReader},
};
use crate::{
    endpoint::{DataApi, ReadOnlyWriter, Writer},
    registry::{RegistryClient, RegistryConfig, RegistryConfigError},
};

/// A registry that is there accepts a connection within a fraction of this; one that does not is not waited for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A start is answered at once: the registry works after it has answered. What takes longer is unknown.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

impl WriterConfig {
    /// The writer, through the Data API.
    #[must_use]
    pub fn connect(&self, sdk: &SdkConfig) -> Writer {
        Writer::new(DataApi::new(sdk, self.endpoint()))
    }
}

impl WriterAddress {
    /// The writer with the role of `reader`, through the Data API.
    #[must_use]
    pub fn connect_with_the_role_of(&self, reader: &ReaderConfig, sdk: &SdkConfig) -> ReadOnlyWriter {
        ReadOnlyWriter::new(DataApi::new(sdk, self.endpoint_with_the_role_of(reader)))
    }
}

/// The registry's client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RegistryClientError {
    /// The signing key cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The settings cannot work.
    #[error(transparent)]
    Config(#[from] RegistryConfigError),
}

impl RegistrySettings {
    /// The registry's client, with the signing key read from its secret.
    ///
    /// # Errors
    /// [`RegistryClientError`] when the key cannot be read or the settings cannot work.
    pub async fn connect(&self, secrets: &SecretReader) -> Result<RegistryClient, RegistryClientError> {
        Ok(RegistryClient::new(RegistryConfig {
            url: self.url.clone(),
            audience: self.token_audience.clone(),
            issuer: self.token_issuer.clone(),
            signing_key_pem: secrets.read(&self.signing_key_secret_arn).await?,
            connect_timeout: CONNECT_TIMEOUT,
            request_timeout: REQUEST_TIMEOUT,
        })?)
    }
}
