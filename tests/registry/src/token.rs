//! Checking the bearer token of the import protocol.

use std::collections::HashSet;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;

/// What a token must be to be taken.
#[derive(Debug, Clone)]
pub struct TokenCheck {
    /// The RSA public key that belongs to the issuer's signing key, as PEM.
    pub public_key_pem: String,
    /// The `aud` it must have.
    pub audience: String,
    /// The `iss` it must have.
    pub issuer: String,
}

/// How much clocks may differ, in seconds: distribution's token package allows this for `exp` and `nbf`.
pub const LEEWAY_SECONDS: u64 = 60;

/// Why a call is not let in. The words are those of the challenge (RFC 6750).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// There is no token.
    Missing,
    /// The token is not one of ours, or no longer.
    InvalidToken,
    /// The token is good and does not allow this.
    InsufficientScope,
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
    fn allows_import(&self) -> bool {
        self.kind == "registry" && self.name == "import" && self.actions.iter().any(|action| action == "*")
    }
}

/// A [`TokenCheck`] that is ready to be used.
pub(crate) struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("validation", &self.validation).finish_non_exhaustive()
    }
}

impl Verifier {
    pub(crate) fn new(check: &TokenCheck) -> Result<Self, jsonwebtoken::errors::Error> {
        let mut validation = Validation::new(Algorithm::RS256);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.set_audience(&[&check.audience]);
        validation.set_issuer(&[&check.issuer]);
        validation.required_spec_claims =
            HashSet::from(["exp".to_owned(), "aud".to_owned(), "iss".to_owned()]);
        Ok(Self { key: DecodingKey::from_rsa_pem(check.public_key_pem.as_bytes())?, validation })
    }

    /// Checks the value of an `Authorization` header. `import` asks for the right to import as well.
    pub(crate) fn check(&self, authorization: Option<&str>, import: bool) -> Result<(), Challenge> {
        let token = authorization
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token)
            .ok_or(Challenge::Missing)?;
        let claims =
            decode::<Claims>(token, &self.key, &self.validation).map_err(|_| Challenge::InvalidToken)?.claims;
        if import && !claims.access.iter().any(Access::allows_import) {
            return Err(Challenge::InsufficientScope);
        }
        Ok(())
    }
}
