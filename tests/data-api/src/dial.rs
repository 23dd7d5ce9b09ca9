//! The way to a server: TCP, TLS where it is asked for, or a socket in a folder.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

/// How long a server may take to accept a connection, its greeting included.
pub(crate) const TO_CONNECT: Duration = Duration::from_secs(5);

/// PostgreSQL's request for TLS, before anything else is said.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A connection's bytes, whichever way they take.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// How servers are reached.
#[derive(Clone, Default)]
pub(crate) struct Dialer {
    tls: Option<TlsConnector>,
}

impl Dialer {
    /// Without TLS, or with a file of the authorities (PEM) that a server's certificate must come from.
    pub(crate) fn new(authorities: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = authorities else { return Ok(Self::default()) };
        let unreadable = || format!("cannot read the certificates in {}", path.display());
        let certificates: Vec<CertificateDer<'static>> =
            CertificateDer::pem_file_iter(path).and_then(Iterator::collect).with_context(unreadable)?;
        let mut roots = RootCertStore::empty();
        let (usable, _) = roots.add_parsable_certificates(certificates);
        anyhow::ensure!(usable > 0, "there is no usable certificate in {}", path.display());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: Some(TlsConnector::from(Arc::new(config))) })
    }

    /// A connection to the server. A host that begins with a slash is the folder of its socket.
    pub(crate) async fn dial(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        if host.starts_with('/') {
            return Ok(Box::new(UnixStream::connect(format!("{host}/.s.PGSQL.{port}")).await?));
        }
        let mut stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        stream.write_all(&SSL_REQUEST).await?;
        if stream.read_u8().await? != b'S' {
            return Err(io::Error::other("the server does not speak TLS"));
        }
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok(Box::new(tls.connect(name, stream).await?))
    }
}
