use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_config::SdkConfig;
use secrecy::SecretString;

use super::{
    ReaderConfig, RegistrySettings, SecretArn, WriterAddress, WriterConfig,
    secrets::{SecretError, SecretReader},
};
use crate::{
    endpoint::{DataApi, ReadOnlyWriter, Writer},
    registry::{KeySource, RegistryClient, RegistryConfig, RegistryConfigError, SigningKey},
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
    /// The registry's client, with the signing key read from its secret within the time that a process has to start.
    ///
    /// # Errors
    /// [`RegistryClientError`] when the key cannot be read or the settings cannot work.
    pub async fn connect(&self, secrets: &SecretReader) -> Result<RegistryClient, RegistryClientError> {
        let key = secrets.read_at_start(&self.signing_key_secret_arn).await?;
        Ok(self.client(SigningKey::Given(key))?)
    }

    /// The registry's client for who has something to do that needs no token: the signing key is read when the
    /// registry is first called.
    ///
    /// # Errors
    /// [`RegistryClientError`] when the settings cannot work.
    pub fn connect_later(&self, secrets: &SecretReader) -> Result<RegistryClient, RegistryClientError> {
        let key = KeyInStore { secrets: secrets.clone(), arn: self.signing_key_secret_arn.clone() };
        Ok(self.client(SigningKey::Later(Arc::new(key)))?)
    }

    fn client(&self, signing_key: SigningKey) -> Result<RegistryClient, RegistryConfigError> {
        RegistryClient::new(RegistryConfig {
            url: self.url.clone(),
            audience: self.token_audience.clone(),
            issuer: self.token_issuer.clone(),
            signing_key,
            authorities: self.authorities.clone(),
            insecure_host: self.insecure_host.clone(),
            connect_timeout: CONNECT_TIMEOUT,
            request_timeout: REQUEST_TIMEOUT,
        })
    }
}

#[derive(Debug)]
struct KeyInStore {
    secrets: SecretReader,
    arn: SecretArn,
}

#[async_trait]
impl KeySource for KeyInStore {
    async fn read_key(&self) -> Result<SecretString, String> {
        self.secrets.read(&self.arn).await.map_err(|error| error.to_string())
    }
}
