//! Where the key that signs the tokens comes from, and when it is read.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use secrecy::SecretString;
use tokio::sync::OnceCell;

use super::token::{InvalidKey, Tokens};

/// Where a key can be read when it is needed.
#[async_trait]
pub trait KeySource: fmt::Debug + Send + Sync {
    /// Reads the RSA private key, in PEM.
    ///
    /// # Errors
    /// Why it cannot be read, without what it holds.
    async fn read_key(&self) -> Result<SecretString, String>;
}

/// The RSA private key, in PEM, that signs the tokens.
#[derive(Clone, Debug)]
pub enum SigningKey {
    /// It is here, and is checked at once.
    Given(SecretString),
    /// It is read when the registry is first called, and again until that succeeds.
    Later(Arc<dyn KeySource>),
}

/// No token can be signed now.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoTokens {
    #[error("the signing key cannot be read: {0}")]
    Unread(String),
    #[error(transparent)]
    Invalid(#[from] InvalidKey),
}

/// What signs the tokens, as soon as the key is there.
pub(super) struct Signing {
    audience: String,
    issuer: String,
    key: SigningKey,
    tokens: OnceCell<Tokens>,
}

impl Signing {
    /// Checks a key that is here; reads none.
    pub(super) fn new(audience: String, issuer: String, key: SigningKey) -> Result<Self, InvalidKey> {
        let tokens = match &key {
            SigningKey::Given(pem) => {
                OnceCell::new_with(Some(Tokens::new(audience.clone(), issuer.clone(), pem)?))
            }
            SigningKey::Later(_) => OnceCell::new(),
        };
        Ok(Self { audience, issuer, key, tokens })
    }

    /// The tokens, with the key read if it is not here yet.
    pub(super) async fn tokens(&self) -> Result<&Tokens, NoTokens> {
        let read = || async {
            let pem = match &self.key {
                SigningKey::Given(pem) => pem.clone(),
                SigningKey::Later(source) => source.read_key().await.map_err(NoTokens::Unread)?,
            };
            Ok(Tokens::new(self.audience.clone(), self.issuer.clone(), &pem)?)
        };
        self.tokens.get_or_try_init(read).await
    }

    /// Forgets the token that is kept, so that the next one is signed anew.
    pub(super) fn forget_token(&self) {
        if let Some(tokens) = self.tokens.get() {
            tokens.forget();
        }
    }
}
