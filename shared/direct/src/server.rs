use std::path::PathBuf;

use aws_config::SdkConfig;
use shared::{
    config::{ReaderAuth, ReaderConfig, ReaderPlace, ReaderServer, secrets::SecretReader},
    endpoint::{DataApi, Reader},
};

use crate::{Access, CertificatesError, Direct, Login};

/// One database on one server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its name, which its certificate must be for.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// A file with the authorities (PEM) that its certificate may come from.
    pub certificates: PathBuf,
    /// As whom to connect.
    pub login: Login,
}

/// A reader cannot be made as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    /// The file of authorities cannot be used.
    #[error("READER_CA_FILE: {0}")]
    Certificates(#[from] CertificatesError),
    /// An IAM token needs a region.
    #[error("READER_AUTH is iam, and AWS_REGION is missing")]
    NoRegion,
    /// An IAM token needs credentials.
    #[error("READER_AUTH is iam, and there are no AWS credentials")]
    NoCredentials,
}

/// The reader, wherever the topology has it: behind the Data API or over TCP. Nothing is connected to yet.
///
/// # Errors
/// [`ReaderError`] when it could never be reached.
pub fn connect_reader(
    config: &ReaderConfig,
    sdk: &SdkConfig,
    secrets: &SecretReader,
) -> Result<Reader, ReaderError> {
    match &config.place {
        ReaderPlace::Server(server) => {
            let server = of_config(config, server, sdk, secrets)?;
            Ok(Reader::new(Direct::new(server, Access::ReadOnly)?))
        }
        ReaderPlace::Cluster { arn, endpoint_url } => {
            Ok(Reader::new(DataApi::new(sdk, config.behind_the_data_api(arn, endpoint_url.as_ref()))))
        }
    }
}

fn of_config(
    config: &ReaderConfig,
    server: &ReaderServer,
    sdk: &SdkConfig,
    secrets: &SecretReader,
) -> Result<Server, ReaderError> {
    let login = match &server.auth {
        ReaderAuth::Secret => Login::Secret { secrets: secrets.clone(), arn: config.secret_arn.clone() },
        ReaderAuth::Iam { user } => Login::Iam {
            user: user.clone(),
            region: sdk.region().ok_or(ReaderError::NoRegion)?.to_string(),
            credentials: sdk.credentials_provider().ok_or(ReaderError::NoCredentials)?,
        },
    };
    Ok(Server {
        host: server.host.clone(),
        port: server.port,
        database: config.database.clone(),
        certificates: server.certificates.clone(),
        login,
    })
}
