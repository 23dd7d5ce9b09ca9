//! TLS: the server's certificate must come from one of the authorities in a file, and be for its name.

use std::path::Path;

use shared::tls::{TlsError, trust_file};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Trusts the authorities in `bundle` (PEM) and nobody else.
pub(crate) fn trusting(bundle: &Path) -> Result<MakeRustlsConnect, TlsError> {
    trust_file(bundle).map(MakeRustlsConnect::new)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path};

    use rustls::{
        RootCertStore,
        pki_types::{CertificateDer, pem::PemObject},
    };

    use super::trusting;

    #[test]
    fn deploys_three_authorities_per_region_and_amazons_own() {
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
}
