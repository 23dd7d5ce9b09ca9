//! TLS in front of a server that has none, as AWS's services have it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};

/// What the servers present, and the authority that clients are to trust.
pub struct Tls {
    acceptor: TlsAcceptor,
    /// The authority's certificate (PEM).
    pub authority: PathBuf,
}

impl Tls {
    /// Makes an authority, whose certificate goes into `folder`, and a certificate of it for this machine.
    pub fn new(folder: &Path) -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // By their names OpenSSL tells it from what it has signed.
        params.distinguished_name.push(DnType::CommonName, "figures");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(["127.0.0.1".to_owned()])?.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(certificate)], key)?;
        let authority = folder.join("authority.pem");
        std::fs::write(&authority, issuer.pem()).context("the authority's certificate")?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), authority })
    }

    /// An https address that leads to the http address `url`.
    pub async fn before(&self, url: &str) -> anyhow::Result<String> {
        let to: SocketAddr = url.trim_start_matches("http://").trim_end_matches('/').parse()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let acceptor = self.acceptor.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let _ = client.set_nodelay(true);
                    let mut client = acceptor.accept(client).await?;
                    let mut server = TcpStream::connect(to).await?;
                    server.set_nodelay(true)?;
                    copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Ok(format!("https://{address}"))
    }
}
