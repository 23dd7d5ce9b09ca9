//! As whom a connection is made: asked for at every connect, so that a rotation needs no restart.

use std::time::SystemTime;

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use shared::{
    config::{
        SecretArn,
        secrets::{SecretError, SecretReader},
    },
    endpoint::Failure,
};

use crate::{
    error::{misconfigured, unavailable},
    token::TokenRequest,
};

/// Where the user's name and what proves it come from.
#[derive(Clone, Debug)]
pub enum Login {
    /// A secret with `username` and `password`, as the Data API wants them.
    Secret {
        /// What reads it.
        secrets: SecretReader,
        /// Which it is.
        arn: SecretArn,
    },
    /// A user and a password that the caller has: a server that the process itself has started.
    Password {
        /// The database's user.
        user: String,
        /// Its password.
        password: SecretString,
    },
    /// An IAM token, signed for each connection.
    Iam {
        /// The database's user, which has the role `rds_iam`.
        user: String,
        /// The server's region.
        region: String,
        /// Who may `rds-db:connect` as that user.
        credentials: SharedCredentialsProvider,
    },
}

/// What one connection is made with.
#[derive(Debug)]
pub(crate) struct Proof {
    pub(crate) user: String,
    pub(crate) password: SecretString,
}

#[derive(Deserialize)]
struct Held {
    username: String,
    password: SecretString,
}

impl Login {
    /// The proof for one connection to the server.
    pub(crate) async fn proof(&self, host: &str, port: u16) -> Result<Proof, Failure> {
        match self {
            Self::Secret { secrets, arn } => {
                let text = secrets.read(arn).await.map_err(|error| unread(&error))?;
                parse(&text)
                    .ok_or_else(|| misconfigured(format!("the secret {arn} is no username and password")))
            }
            Self::Password { user, password } => Ok(Proof { user: user.clone(), password: password.clone() }),
            Self::Iam { user, region, credentials } => {
                let credentials = credentials
                    .provide_credentials()
                    .await
                    .map_err(|_| misconfigured("there are no credentials to sign an IAM token with"))?;
                let password = TokenRequest { host, port, user, region }
                    .sign(credentials, SystemTime::now())
                    .map_err(|error| misconfigured(error.to_string()))?;
                Ok(Proof { user: user.clone(), password })
            }
        }
    }
}

/// A secret that is refused has to be repaired by somebody. A store that does not answer is no more wrong than a server
/// that does not. (The Data API has one name for both, SecretsErrorException, so there both are waited for.)
fn unread(error: &SecretError) -> Failure {
    match error {
        SecretError::Unavailable { .. } => unavailable(error.to_string()),
        SecretError::Unreadable { .. } | SecretError::NoText { .. } | SecretError::Form { .. } => {
            misconfigured(error.to_string())
        }
    }
}

/// The parser's words may quote the secret, so they are not kept.
fn parse(text: &SecretString) -> Option<Proof> {
    let Held { username, password } = serde_json::from_str(text.expose_secret()).ok()?;
    Some(Proof { user: username, password })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::parse;

    #[test]
    fn a_secret_is_a_name_and_a_password_and_may_hold_more() {
        let text = r#"{"username":"migration_reader","password":"hunter2","host":"h"}"#;
        let proof = parse(&text.into()).unwrap();
        assert_eq!((proof.user.as_str(), proof.password.expose_secret()), ("migration_reader", "hunter2"));
        assert!(!format!("{proof:?}").contains("hunter2"));
        for wrong in ["hunter2", r#"{"username":"u"}"#, r#"{"username":1,"password":"p"}"#] {
            assert!(parse(&wrong.into()).is_none(), "{wrong}");
        }
    }
}
