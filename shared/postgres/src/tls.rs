//! TLS for servers, from an authority made for them.

use std::fs;
use std::path::Path;

use anyhow::Context;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::data::write;

/// Gives each data folder a certificate for `localhost` and writes the authority behind them (PEM) to `authority`.
/// The authority's key is kept nowhere.
pub fn certify(folders: &[&Path], authority: &Path) -> anyhow::Result<()> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "postgres-server");
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    for folder in folders {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(["localhost".to_owned()])?.signed_by(&key, &issuer)?;
        write(folder, "server.crt", &certificate.pem())?;
        write(folder, "server.key", &key.serialize_pem())?;
    }
    fs::write(authority, issuer.pem()).with_context(|| format!("cannot write {}", authority.display()))
}
