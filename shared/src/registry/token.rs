use std::sync::Mutex;

use aws_lc_rs::{
    digest,
    encoding::{AsDer, PublicKeyX509Der},
    rsa::KeyPair,
    signature::KeyPair as _,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use data_encoding::BASE32_NOPAD;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::{lock::lock, migration::RepositoryPath};

/// How long a token is valid.
const LIFETIME: SignedDuration = SignedDuration::from_mins(5);

/// How long before its end a token is no longer used, so that it does not expire on its way and clocks may
/// differ a little.
const MARGIN: SignedDuration = SignedDuration::from_mins(1);

/// What a token allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Everything about imports.
    Import,
    /// To list the repositories.
    Catalogue,
    /// To read one repository.
    Pull(RepositoryPath),
}

impl Scope {
    fn access(&self) -> Access<'_> {
        match self {
            Self::Import => Access { r#type: "registry", name: "import", actions: ["*"] },
            Self::Catalogue => Access { r#type: "registry", name: "catalog", actions: ["*"] },
            Self::Pull(path) => Access { r#type: "repository", name: path.as_str(), actions: ["pull"] },
        }
    }
}

/// Signs the tokens, and keeps the current one that allows imports.
pub(super) struct Tokens {
    audience: String,
    issuer: String,
    key: EncodingKey,
    key_id: String,
    current: Mutex<Option<Token>>,
}

struct Token {
    text: SecretString,
    expires: Timestamp,
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    exp: i64,
    access: [Access<'a>; 1],
}

#[derive(Serialize)]
struct Access<'a> {
    r#type: &'static str,
    name: &'a str,
    actions: [&'static str; 1],
}

/// No token can be signed with this key. Says what it is instead, never what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signing key is not an RSA private key in PEM: {0}")]
pub struct InvalidKey(&'static str);

/// Whether tokens can be signed with `key`: signs once.
///
/// # Errors
/// [`InvalidKey`] says what it is instead.
pub fn check_signing_key(key: &SecretString) -> Result<(), InvalidKey> {
    Tokens::new(String::new(), String::new(), key).map(drop)
}

const DAMAGED: InvalidKey = InvalidKey("it is damaged");

/// Object identifiers in DER of algorithms other than RSA, and how their keys are called.
const OTHERS: [(&[u8], &str); 3] = [
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01], "it is an EC key"),
    (&[0x2b, 0x65, 0x70], "it is an Ed25519 key"),
    (&[0x2b, 0x65, 0x71], "it is an Ed448 key"),
];

/// What a key is that cannot be used.
fn describe(key: &str) -> InvalidKey {
    let labelled = |label: &str| key.contains(&format!("-----BEGIN {label}-----"));
    InvalidKey(if key.starts_with('{') {
        "it is a JSON object, store the PEM alone, as plain text"
    } else if key.contains(r"\n") {
        r"its line breaks are written as \n, store the file as it is, or without any line breaks"
    } else if labelled("EC PRIVATE KEY") {
        "it is an EC key"
    } else if labelled("ENCRYPTED PRIVATE KEY") || key.contains("Proc-Type: 4,ENCRYPTED") {
        "it is encrypted"
    } else if labelled("CERTIFICATE") || labelled("PUBLIC KEY") || labelled("RSA PUBLIC KEY") {
        "it is the public half, which the registry gets"
    } else if labelled("OPENSSH PRIVATE KEY") {
        "it is in OpenSSH's form"
    } else if labelled("PRIVATE KEY") || labelled("RSA PRIVATE KEY") {
        let body: String = key.split("-----").nth(2).unwrap_or_default().split_whitespace().collect();
        let der = BASE64_STANDARD.decode(body).unwrap_or_default();
        // The algorithm stands at the beginning.
        let head = &der[..der.len().min(32)];
        let other = OTHERS.iter().find(|(id, _)| head.windows(id.len()).any(|part| part == *id));
        other.map_or("it is damaged", |(_, name)| name)
    } else {
        "it is no PEM"
    })
}

impl Tokens {
    /// Checks the key by signing with it once.
    pub(super) fn new(audience: String, issuer: String, key: &SecretString) -> Result<Self, InvalidKey> {
        let pem = key.expose_secret();
        let key = EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(|_| describe(pem))?;
        let key_id = key_id(public_key(&key).map_err(|_| describe(pem))?.as_ref());
        let tokens = Self { audience, issuer, key, key_id, current: Mutex::new(None) };
        tokens.current(Timestamp::now())?;
        Ok(tokens)
    }

    /// A token that allows `scope` and is valid for a while yet.
    pub(super) fn of(&self, scope: &Scope, now: Timestamp) -> Result<SecretString, InvalidKey> {
        match scope {
            Scope::Import => self.current(now),
            Scope::Catalogue | Scope::Pull(_) => self.sign(scope, now).map(|token| token.text),
        }
    }

    /// A token that allows imports and is valid for a while yet.
    pub(super) fn current(&self, now: Timestamp) -> Result<SecretString, InvalidKey> {
        let mut current = lock(&self.current);
        if let Some(token) = current.as_ref().filter(|token| now < token.expires - MARGIN) {
            return Ok(token.text.clone());
        }
        let token = self.sign(&Scope::Import, now)?;
        Ok(current.insert(token).text.clone())
    }

    /// Forgets the token, so that the next one is signed anew.
    pub(super) fn forget(&self) {
        *lock(&self.current) = None;
    }

    fn sign(&self, scope: &Scope, now: Timestamp) -> Result<Token, InvalidKey> {
        let expires = now + LIFETIME;
        let claims = Claims {
            aud: &self.audience,
            iss: &self.issuer,
            exp: expires.as_second(),
            access: [scope.access()],
        };
        let header = Header { kid: Some(self.key_id.clone()), ..Header::new(Algorithm::RS256) };
        let text = jsonwebtoken::encode(&header, &claims, &self.key).map_err(|_| DAMAGED)?;
        Ok(Token { text: text.into(), expires })
    }
}

/// The public half of the key, as DER (SubjectPublicKeyInfo).
fn public_key(key: &EncodingKey) -> Result<PublicKeyX509Der<'static>, InvalidKey> {
    let pair = KeyPair::from_der(key.as_bytes()).map_err(|_| DAMAGED)?;
    pair.public_key().as_der().map_err(|_| DAMAGED)
}

/// The name by which a registry finds a public key among those it trusts: the first 240 bits of the SHA-256 of
/// its DER, in base32, by fours (libtrust's key id; the distribution registry refuses a token without it).
pub(super) fn key_id(public_key: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, public_key);
    let text = BASE32_NOPAD.encode(&hash.as_ref()[..30]);
    // Base32 is ASCII.
    text.as_bytes().chunks(4).map(String::from_utf8_lossy).collect::<Vec<_>>().join(":")
}
