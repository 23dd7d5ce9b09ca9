//! TLS: the server's certificate must come from one of the authorities in a file, and be for its name.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The file of certificate authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificatesError {
    /// It cannot be read as PEM.
    #[error("the certificates in {path} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// It holds none that can be trusted.
    #[error("there is no usable certificate in {0}")]
    Empty(String),
    /// The TLS library refuses its own settings.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// Trusts the authorities in `bundle` (PEM) and nobody else.
pub(crate) fn trusting(bundle: &Path) -> Result<MakeRustlsConnect, CertificatesError> {
    let path = bundle.display().to_string();
    let unreadable = |reason: String| CertificatesError::Unreadable { path: path.clone(), reason };
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(bundle)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(certificates);
    if usable == 0 {
        return Err(CertificatesError::Empty(path));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io::Write, path::Path};

    use rustls::{
        RootCertStore,
        pki_types::{CertificateDer, pem::PemObject},
    };

    use super::trusting;

    #[test]
    fn the_authorities_that_are_deployed_are_three_of_each_region_and_amazons_own() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("authorities/rds-ca.pem");
        let text = std::fs::read_to_string(&file).unwrap();
        let names = text.lines().filter_map(|line| line.strip_prefix("# Amazon RDS "));
        let mut regions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (region, kind) in names.map(|name| name.split_once(" Root CA ").unwrap()) {
            regions.entry(region).or_default().push(kind);
        }
        for (region, kinds) in &regions {
            assert_eq!(kinds[..], ["ECC384 G1", "RSA2048 G1", "RSA4096 G1"], "{region}");
        }
        assert!(["eu-central-1", "us-east-1"].iter().all(|region| regions.contains_key(region)));
        let others = ["Amazon Root CA 1", "Amazon Root CA 2", "Amazon Root CA 3", "Amazon Root CA 4"];
        assert!(others.iter().all(|name| text.contains(&format!("# {name}\n"))));
        let certificates: Vec<CertificateDer<'static>> =
            CertificateDer::pem_file_iter(&file).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(certificates.len(), regions.len() * 3 + others.len() + 1, "and Starfield's");
        let all = certificates.len();
        assert_eq!(RootCertStore::empty().add_parsable_certificates(certificates), (all, 0));
        assert!(trusting(&file).is_ok());
    }

    fn refusal(path: &Path) -> String {
        trusting(path).err().expect("it is refused").to_string()
    }

    #[test]
    fn a_bundle_that_is_missing_or_holds_nothing_is_refused_by_name() {
        assert!(refusal(Path::new("/nowhere/rds.pem")).contains("/nowhere/rds.pem"));
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let name = file.path().display().to_string();
        assert_eq!(refusal(file.path()), format!("there is no usable certificate in {name}"));
        writeln!(file, "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----")
            .unwrap();
        assert_eq!(refusal(file.path()), format!("there is no usable certificate in {name}"));
    }
}
