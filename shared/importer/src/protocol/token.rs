//! Who may ask: whoever has a token of the driver's.

use std::collections::HashSet;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;

/// How much clocks may differ, in seconds.
const TOLERANCE: u64 = 60;

/// What a token must be.
#[derive(Clone, Debug)]
pub struct TokenRule {
    /// The public keys (PEM) that it may be signed by: two while one is replaced.
    pub public_keys: Vec<String>,
    /// Its `aud`.
    pub audience: String,
    /// Its `iss`.
    pub issuer: String,
}

/// A public key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnusableKey;

impl std::fmt::Display for UnusableKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a public key is no RSA key in PEM")
    }
}

impl std::error::Error for UnusableKey {}

/// Checks tokens: RS256 alone, with `aud`, `iss`, `exp` and the access that a call needs.
pub struct Tokens {
    keys: Vec<DecodingKey>,
    validation: Validation,
}

/// What a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope<'a> {
    Import,
    Catalogue,
    Pull(&'a str),
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    access: Vec<Access>,
}

#[derive(Deserialize)]
struct Access {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    actions: Vec<String>,
}

impl Access {
    fn allows(&self, kind: &str, name: &str, action: &str) -> bool {
        self.kind == kind && self.name == name && self.actions.iter().any(|of| of == action)
    }
}

impl Tokens {
    /// Takes tokens that are as `rule` says.
    ///
    /// # Errors
    /// [`UnusableKey`].
    pub fn new(rule: &TokenRule) -> Result<Self, UnusableKey> {
        let mut validation = Validation::new(Algorithm::RS256);
        validation.leeway = TOLERANCE;
        validation.validate_nbf = true;
        validation.set_audience(&[&rule.audience]);
        validation.set_issuer(&[&rule.issuer]);
        validation.required_spec_claims = HashSet::from(["exp", "aud", "iss"].map(str::to_owned));
        let keys = rule.public_keys.iter().map(|key| DecodingKey::from_rsa_pem(key.as_bytes()));
        let keys = keys.collect::<Result<Vec<_>, _>>().map_err(|_| UnusableKey)?;
        Ok(Self { keys, validation })
    }

    /// Whether the value of an `Authorization` header allows a call. Who may import may read, too.
    pub(super) fn allow(&self, authorization: Option<&str>, scope: Scope<'_>) -> bool {
        let token = authorization
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token);
        let Some(token) = token else { return false };
        let decoded = self.keys.iter().find_map(|key| decode::<Claims>(token, key, &self.validation).ok());
        decoded.is_some_and(|token| {
            token.claims.access.iter().any(|access| {
                access.allows("registry", "import", "*")
                    || match scope {
                        Scope::Import => false,
                        Scope::Catalogue => access.allows("registry", "catalog", "*"),
                        Scope::Pull(path) => access.allows("repository", path, "pull"),
                    }
            })
        })
    }
}
