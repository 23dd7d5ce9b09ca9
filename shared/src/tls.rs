//! Whom the functions trust when they speak TLS, and how.
//!
//! The public authorities are compiled in, ready to be used: reading a machine's 144 certificates cost more than
//! everything else that a function does until its first answer.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};

/// How many certificates of authorities this process has parsed.
static PARSED: AtomicUsize = AtomicUsize::new(0);

/// What OpenSSL, and so most programs, calls the variable that names a file of authorities.
const SSL_CERT_FILE: &str = "SSL_CERT_FILE";

/// The public authorities, or those of the file that `SSL_CERT_FILE` names. Read once, where there is one to read.
static AUTHORITIES: LazyLock<Result<ClientConfig, TlsError>> =
    LazyLock::new(|| match std::env::var_os(SSL_CERT_FILE).filter(|name| !name.is_empty()) {
        Some(file) => of_file(&PathBuf::from(file)),
        None => of(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()),
    });

/// TLS cannot be set up.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of authorities cannot be read as PEM.
    #[error("the certificates in {path} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The file holds no authority that can be trusted.
    #[error("there is no usable certificate in {0}")]
    Empty(String),
    /// The TLS library refuses its own settings.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// Trusts the public authorities, or instead of them those of the file that `SSL_CERT_FILE` names.
///
/// # Errors
/// [`TlsError`] where that file cannot be used.
pub fn trust_public() -> Result<ClientConfig, TlsError> {
    AUTHORITIES.clone()
}

/// Trusts the authorities in `file` (PEM) and nobody else.
///
/// # Errors
/// [`TlsError`] where it cannot be used.
pub fn trust_file(file: &Path) -> Result<ClientConfig, TlsError> {
    of_file(file)
}

/// How many certificates of authorities this process has parsed.
#[must_use]
pub fn certificates_parsed() -> usize {
    PARSED.load(Ordering::Relaxed)
}

fn of_file(file: &Path) -> Result<ClientConfig, TlsError> {
    let path = file.display().to_string();
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| TlsError::Unreadable { path: path.clone(), reason: error.to_string() })?;
    PARSED.fetch_add(certificates.len(), Ordering::Relaxed);
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(certificates);
    if usable == 0 {
        return Err(TlsError::Empty(path));
    }
    of(roots)
}

fn of(roots: RootCertStore) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use std::{io::Write, path::Path};

    use super::{TlsError, certificates_parsed, trust_file, trust_public};

    #[test]
    fn trusts_the_public_authorities_without_parsing_any() {
        let before = certificates_parsed();
        assert!(trust_public().is_ok());
        assert_eq!(certificates_parsed(), before);
        // Amazon's own stand behind all that the driver asks of AWS.
        let amazon = webpki_roots::TLS_SERVER_ROOTS
            .iter()
            .filter(|root| root.subject.windows(14).any(|part| part == b"Amazon Root CA"));
        assert!(amazon.count() >= 4);
    }

    #[test]
    fn refuses_a_file_without_authorities_by_name() {
        let refusal = |path: &Path| trust_file(path).expect_err("it is refused").to_string();
        assert!(refusal(Path::new("/nowhere/ca.pem")).contains("/nowhere/ca.pem"));
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let name = file.path().display().to_string();
        assert_eq!(refusal(file.path()), format!("there is no usable certificate in {name}"));
        writeln!(file, "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----")
            .unwrap();
        assert!(matches!(trust_file(file.path()), Err(TlsError::Empty(named)) if named == name));
    }
}
