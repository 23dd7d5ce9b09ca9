//! TLS for both servers, from an authority made for them.

use std::fs;
use std::path::Path;

use anyhow::Context;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::layout::write;
use crate::server::Server;

/// Gives each server a certificate for `localhost` and writes the authority behind them to `authority`.
pub(crate) fn certify(servers: &[&Server], authority: &Path) -> anyhow::Result<()> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "postgres-pair");
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    for server in servers {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(["localhost".to_owned()])?.signed_by(&key, &issuer)?;
        write(server, "server.crt", &certificate.pem())?;
        write(server, "server.key", &key.serialize_pem())?;
    }
    fs::write(authority, issuer.pem()).with_context(|| format!("cannot write {}", authority.display()))
}
