use std::{path::PathBuf, sync::Arc};

use aws_config::SdkConfig;
use shared::{
    config::{ReaderAuth, ReaderConfig, ReaderPlace, ReaderServer, WriterAddress, secrets::SecretReader},
    endpoint::{DataApi, Failure, Reader, ReaderConnections, ReplicaReads},
    store::HEALTH_PROBE,
};

use crate::{Access, CertificatesError, Direct, Login, login::Proof};

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

impl Server {
    /// As whom to connect to it.
    pub(crate) async fn proof(&self) -> Result<Proof, Failure> {
        self.login.proof(&self.host, self.port).await
    }
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
) -> Result<ReaderConnections, ReaderError> {
    match &config.place {
        ReaderPlace::Server(server) => {
            let reads = Direct::new(of_config(config, server, sdk, secrets)?, Access::ReadOnly)?;
            let probes = reads.another();
            Ok(ReaderConnections { reads: Reader::new(reads), probes: Reader::new(probes) })
        }
        ReaderPlace::Cluster { arn, endpoint_url } => {
            let endpoint = config.behind_the_data_api(arn, endpoint_url.as_ref());
            Ok(ReaderConnections::shared(Reader::new(DataApi::new(sdk, endpoint))))
        }
    }
}

/// The reader, and the writer with the reader's role for when the reader cannot serve or may not. Nothing is
/// connected to yet.
///
/// # Errors
/// [`ReaderError`] when the reader could never be reached.
pub fn connect_reads(
    config: &ReaderConfig,
    writer: &WriterAddress,
    sdk: &SdkConfig,
    secrets: &SecretReader,
) -> Result<Arc<ReplicaReads>, ReaderError> {
    let reader = connect_reader(config, sdk, secrets)?;
    let writer = writer.connect_with_the_role_of(config, sdk);
    Ok(Arc::new(ReplicaReads::new(reader, writer, HEALTH_PROBE)))
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

#[cfg(test)]
pub(crate) mod tests {
    use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
    use secrecy::ExposeSecret;

    use super::Server;
    use crate::Login;

    /// One that is logged in to without asking anybody.
    pub(crate) fn server(host: &str, port: u16) -> Server {
        let credentials = Credentials::new("akid", "secret", None, None, "test");
        Server {
            host: host.to_owned(),
            port,
            database: "migrations".to_owned(),
            certificates: "unused.pem".into(),
            login: Login::Iam {
                user: "peccy".to_owned(),
                region: "us-east-1".to_owned(),
                credentials: SharedCredentialsProvider::new(credentials),
            },
        }
    }

    #[tokio::test]
    async fn signs_iam_tokens_for_the_connected_server_and_user() {
        let proof = server("reader.example", 6543).proof().await.unwrap();
        assert_eq!(proof.user, "peccy");
        let token = proof.password.expose_secret();
        assert!(token.starts_with("reader.example:6543/?Action=connect&DBUser=peccy&"), "{token}");
        assert!(token.contains("%2Fus-east-1%2Frds-db%2F"), "{token}");
    }
}
