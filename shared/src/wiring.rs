//! Makes the clients that a function works with from what it is configured with: endpoints and the registry.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_config::SdkConfig;
use secrecy::SecretString;
use url::Url;

use crate::{
    config::{
        ClusterArn, ReaderConfig, RegistryConfig, SecretArn, WriterAddress, WriterConfig,
        secrets::{SecretError, SecretReader},
    },
    endpoint::{DataApi, EndpointConfig, ReadOnlyWriter, Writer},
    registry::{
        InvalidKey, KeySource, RegistryClient, RegistryClientConfig, RegistryConfigError, SigningKey,
        check_signing_key,
    },
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

    /// The endpoint that may be written through.
    #[must_use]
    pub fn endpoint(&self) -> EndpointConfig {
        data_api_endpoint(&self.arn, &self.secret_arn, &self.database, self.endpoint_url.as_ref())
    }
}

impl WriterAddress {
    /// The writer with the role of `reader`, through the Data API.
    #[must_use]
    pub fn connect_with_the_role_of(&self, reader: &ReaderConfig, sdk: &SdkConfig) -> ReadOnlyWriter {
        ReadOnlyWriter::new(DataApi::new(sdk, self.endpoint_with_the_role_of(reader)))
    }

    /// The writer, with the role of `reader`: it can only SELECT there as well.
    #[must_use]
    pub fn endpoint_with_the_role_of(&self, reader: &ReaderConfig) -> EndpointConfig {
        data_api_endpoint(&self.arn, &reader.secret_arn, &reader.database, self.endpoint_url.as_ref())
    }
}

impl ReaderConfig {
    /// The endpoint that reads, behind the Data API of the cluster `arn`.
    #[must_use]
    pub fn behind_the_data_api(&self, arn: &ClusterArn, endpoint_url: Option<&Url>) -> EndpointConfig {
        data_api_endpoint(arn, &self.secret_arn, &self.database, endpoint_url)
    }
}

/// The cluster `arn` behind the Data API, with the role of one secret. No `endpoint_url`: where the SDK looks.
#[must_use]
pub fn data_api_endpoint(
    arn: &ClusterArn,
    secret_arn: &SecretArn,
    database: &str,
    endpoint_url: Option<&Url>,
) -> EndpointConfig {
    EndpointConfig {
        arn: arn.to_string(),
        secret_arn: secret_arn.to_string(),
        database: database.to_owned(),
        endpoint_url: endpoint_url.map(ToString::to_string),
    }
}

/// The registry's client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RegistryClientError {
    /// The signing key cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The signing key's secret holds none.
    #[error("the secret {arn}: {reason}")]
    SigningKey {
        /// The secret.
        arn: SecretArn,
        /// What it holds instead.
        reason: InvalidKey,
    },
    /// The settings cannot work.
    #[error(transparent)]
    Config(#[from] RegistryConfigError),
}

impl RegistryConfig {
    /// The registry's client, with the signing key read from its secret within the time that a process has to start.
    ///
    /// # Errors
    /// [`RegistryClientError`] when the key cannot be read or the settings cannot work.
    pub async fn connect(&self, secrets: &SecretReader) -> Result<RegistryClient, RegistryClientError> {
        let key = secrets.read_at_start(&self.signing_key_secret_arn).await?;
        self.client(SigningKey::Given(key)).map_err(|error| match error {
            RegistryConfigError::SigningKey(reason) => {
                RegistryClientError::SigningKey { arn: self.signing_key_secret_arn.clone(), reason }
            }
            error => error.into(),
        })
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
        RegistryClient::new(RegistryClientConfig {
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
        let key = self.secrets.read(&self.arn).await.map_err(|error| error.to_string())?;
        check_signing_key(&key).map_err(|reason| format!("the secret {}: {reason}", self.arn))?;
        Ok(key)
    }
}
