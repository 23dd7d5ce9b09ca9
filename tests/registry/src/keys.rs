//! Fresh keys for signing tokens: what a local stack needs and nobody keeps.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DistinguishedName, DnType};
use secrecy::SecretString;

/// An RSA key pair, as PEM: the private key for the issuer of tokens, the public one for the registry.
#[derive(Debug)]
pub struct SigningKeys {
    /// PKCS #8.
    pub private_key_pem: SecretString,
    /// SubjectPublicKeyInfo, for [`crate::TokenCheck`].
    pub public_key_pem: String,
    /// The public key in a certificate that it signs itself, as GitLab's registry wants it (`rootcertbundle`).
    pub certificate_pem: String,
}

/// The key could not be made. The system gives no reason.
#[derive(Debug, thiserror::Error)]
#[error("no RSA key could be generated")]
pub struct NoKey;

impl SigningKeys {
    /// Makes a pair of 2048 bits.
    pub fn generate() -> Result<Self, NoKey> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| NoKey)?;
        let private: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| NoKey)?;
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| NoKey)?;
        let private_key_pem = pem("PRIVATE KEY", private.as_ref());
        Ok(Self {
            public_key_pem: pem("PUBLIC KEY", public.as_ref()),
            certificate_pem: certify(&private_key_pem).map_err(|_| NoKey)?,
            private_key_pem: private_key_pem.into(),
        })
    }
}

fn certify(private_key_pem: &str) -> Result<String, rcgen::Error> {
    let key = rcgen::KeyPair::from_pem(private_key_pem)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "registry-migration");
    Ok(params.self_signed(&key)?.pem())
}

/// Whether a certificate (PEM) is one of this public key (PEM), which it holds as it is.
#[must_use]
pub fn certifies(certificate_pem: &str, public_key_pem: &str) -> bool {
    let (Some(certificate), Some(key)) = (der(certificate_pem), der(public_key_pem)) else { return false };
    certificate.windows(key.len()).any(|part| part == key)
}

/// What the first block of a PEM text holds, if anything.
fn der(pem: &str) -> Option<Vec<u8>> {
    let lines = pem.lines().skip_while(|line| !line.starts_with("-----BEGIN")).skip(1);
    let text: String = lines.take_while(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(text).ok().filter(|der| !der.is_empty())
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem + &format!("-----END {label}-----\n")
}

#[cfg(test)]
mod tests {
    use super::{SigningKeys, certifies};

    #[test]
    fn certifies_its_own_public_key_and_no_other() {
        let [one, other] = [SigningKeys::generate().unwrap(), SigningKeys::generate().unwrap()];
        assert!(certifies(&one.certificate_pem, &one.public_key_pem));
        assert!(!certifies(&one.certificate_pem, &other.public_key_pem));
        for none in ["", "no PEM", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"] {
            assert!(!certifies(&one.certificate_pem, none), "{none:?}");
        }
    }
}
