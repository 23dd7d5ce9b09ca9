//! The client against a server that answers as the registry does, and as what may stand before it does.

mod answers;
mod calls;
mod lists;
mod tokens;

use std::{sync::LazyLock, time::Duration};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rsa::{KeyPair, KeySize},
    signature::KeyPair as _,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::time::Instant;

use super::{RegistryClient, RegistryClientConfig, SigningKey};
use crate::migration::RepositoryPath;

/// A key of the tests' own, as PEM: private, public.
static KEYS: LazyLock<(String, String)> = LazyLock::new(|| {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    (pem("PRIVATE KEY", private.as_ref()), pem("PUBLIC KEY", public.as_ref()))
});

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn config(url: &str) -> RegistryClientConfig {
    RegistryClientConfig {
        url: url.parse().unwrap(),
        audience: "container_registry".to_owned(),
        issuer: "registry-migration".to_owned(),
        signing_key: SigningKey::Given(KEYS.0.clone().into()),
        authorities: None,
        insecure_host: None,
        connect_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(5),
    }
}

pub(crate) fn client(url: &str) -> RegistryClient {
    RegistryClient::new(config(url)).unwrap()
}

fn path() -> RepositoryPath {
    RepositoryPath::parse("group/project/image").unwrap()
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(10)
}
