//! A role's secret, and what the database is to keep of it.

use postgres_protocol::password::scram_sha_256;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use shared::config::{
    SecretArn,
    secrets::{SecretError, SecretReader},
};

/// A secret is of no use as a role's.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// It cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// It is not what the Data API logs in with.
    #[error("the secret {arn} is not an object with a username and a password")]
    Form {
        /// The secret.
        arn: SecretArn,
    },
    /// The Data API would log in as somebody else.
    #[error("the secret {arn} is not that of the role {role}")]
    Role {
        /// The secret.
        arn: SecretArn,
        /// The role.
        role: &'static str,
    },
}

#[derive(Deserialize)]
struct Login {
    username: String,
    password: SecretString,
}

/// The password that a role's secret holds.
pub(crate) async fn password(
    secrets: &SecretReader,
    arn: &SecretArn,
    role: &'static str,
) -> Result<SecretString, LoginError> {
    let text = secrets.read(arn).await?;
    password_of(text.expose_secret(), arn, role)
}

/// What PostgreSQL keeps of a password.
pub(crate) fn verifier(password: &SecretString) -> SecretString {
    scram_sha_256(password.expose_secret().as_bytes()).into()
}

fn password_of(text: &str, arn: &SecretArn, role: &'static str) -> Result<SecretString, LoginError> {
    // The parser's own error would show some of it.
    let login: Login = serde_json::from_str(text).map_err(|_| LoginError::Form { arn: arn.clone() })?;
    if login.password.expose_secret().is_empty() {
        return Err(LoginError::Form { arn: arn.clone() });
    }
    if login.username != role {
        return Err(LoginError::Role { arn: arn.clone(), role });
    }
    Ok(login.password)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::{password_of, verifier};

    const ARN: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:reader";

    #[test]
    fn a_password_becomes_a_verifier_that_is_another_one_each_time() {
        let secret = r#"{"username":"migration_reader","password":"hunter2","engine":"postgres"}"#;
        let made = || verifier(&password_of(secret, &ARN.parse().unwrap(), "migration_reader").unwrap());
        let (one, other) = (made(), made());
        assert!(one.expose_secret().starts_with("SCRAM-SHA-256$4096:"));
        assert!(!one.expose_secret().contains("hunter2"));
        assert_ne!(one.expose_secret(), other.expose_secret());
    }

    #[test]
    fn a_secret_that_is_none_of_the_roles_is_named_and_not_shown() {
        for (secret, reason) in [
            ("hunter2", "not an object with a username and a password"),
            (r#"{"username":"migration_reader"}"#, "not an object with a username and a password"),
            (r#"{"username":"migration_reader","password":7}"#, "not an object"),
            (r#"{"username":"migration_reader","password":""}"#, "not an object"),
            (r#"{"username":"hunter2","password":"hunter2"}"#, "is not that of the role migration_reader"),
        ] {
            let error =
                password_of(secret, &ARN.parse().unwrap(), "migration_reader").unwrap_err().to_string();
            assert!(error.contains(ARN) && error.contains(reason), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
