//! The secrets of the stack, read and looked at; and what the database is to keep of a password.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use postgres_protocol::password::scram_sha_256;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use shared::{
    config::{
        SecretArn,
        secrets::{SecretError, SecretReader, check_value},
    },
    registry::{InvalidKey, check_signing_key},
    store::schema::TO_SPREAD,
};
use tokio::time::Instant;

use crate::config::{Config, ReaderNeeds};

/// The pauses between two readings of a secret.
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(200))
    .with_max_delay(Duration::from_secs(3))
    .with_factor(2.0)
    .without_max_times()
    .with_jitter();

/// A secret is of no use.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// It cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// It is not what the Data API logs in with.
    #[error("the secret {arn} is not a JSON object with a username and a password")]
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
    /// It signs nothing.
    #[error("the secret {arn}: {reason}")]
    SigningKey {
        /// The secret.
        arn: SecretArn,
        /// What it holds instead.
        reason: InvalidKey,
    },
}

/// The passwords of the driver's roles.
pub(crate) struct Logins {
    pub(crate) driver: SecretString,
    pub(crate) reader: SecretString,
    /// Where a second cluster subscribes to the tables.
    pub(crate) replication: Option<SecretString>,
}

impl Logins {
    /// Reads every secret that the stack names, and looks whether each is what is expected of it: otherwise a function
    /// would be the first to find out.
    ///
    /// # Errors
    /// [`LoginError`] names the first that is of no use.
    pub(crate) async fn read(
        secrets: &SecretReader,
        config: &Config,
        until: Instant,
    ) -> Result<Self, LoginError> {
        let read = async |arn: &SecretArn| read(secrets, arn, until).await;
        owner(&read(&config.owner_secret_arn).await?, &config.owner_secret_arn)?;
        for value in [&config.shown.notification, &config.shown.operator_token] {
            check_value(value, &read(value).await?)?;
        }
        let arn = &config.shown.signing_key;
        let key = read(arn).await?;
        check_signing_key(&key).map_err(|reason| LoginError::SigningKey { arn: arn.clone(), reason })?;
        let password = async |arn: &SecretArn, role| password_of(&read(arn).await?, arn, role);
        let replication = match &config.reader {
            ReaderNeeds::Replica(replica) => {
                owner(&read(&replica.owner_secret_arn).await?, &replica.owner_secret_arn)?;
                Some(password(&replica.replication_secret_arn, "migration_replication").await?)
            }
            ReaderNeeds::Nothing | ReaderNeeds::Proxy | ReaderNeeds::IamUser(_) => None,
        };
        Ok(Self {
            driver: password(&config.writer_secret_arn, "migration_driver").await?,
            reader: password(&config.reader_secret_arn, "migration_reader").await?,
            replication,
        })
    }
}

/// A secret's text. It takes a while until everybody has heard of a permission that is new.
async fn read(secrets: &SecretReader, arn: &SecretArn, until: Instant) -> Result<SecretString, SecretError> {
    let began = Instant::now();
    let reading = || secrets.read(arn);
    reading
        .retry(PAUSES)
        .when(|error| match error {
            SecretError::Unavailable { .. } => true,
            error => error.is_denied() && began.elapsed() < TO_SPREAD,
        })
        .adjust(|_, pause| pause.filter(|pause| Instant::now() + *pause < until))
        .await
}

#[derive(Deserialize)]
struct Login {
    username: String,
    password: SecretString,
}

/// What PostgreSQL keeps of a password.
pub(crate) fn verifier(password: &SecretString) -> SecretString {
    scram_sha_256(password.expose_secret().as_bytes()).into()
}

fn password_of(
    secret: &SecretString,
    arn: &SecretArn,
    role: &'static str,
) -> Result<SecretString, LoginError> {
    let login = login(secret, arn)?;
    if login.username != role {
        return Err(LoginError::Role { arn: arn.clone(), role });
    }
    Ok(login.password)
}

/// Looks whether the Data API can log in with a secret.
fn owner(secret: &SecretString, arn: &SecretArn) -> Result<(), LoginError> {
    login(secret, arn).map(drop)
}

fn login(secret: &SecretString, arn: &SecretArn) -> Result<Login, LoginError> {
    let form = || LoginError::Form { arn: arn.clone() };
    // The parser's own error would show some of it.
    let login: Login = serde_json::from_str(secret.expose_secret()).map_err(|_| form())?;
    let usable = !login.username.is_empty() && !login.password.expose_secret().is_empty();
    usable.then_some(login).ok_or_else(form)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::{password_of, verifier};

    const ARN: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:reader";

    #[test]
    fn a_password_becomes_a_verifier_that_is_another_one_each_time() {
        let secret = r#"{"username":"migration_reader","password":"hunter2","engine":"postgres"}"#;
        let made = || {
            verifier(
                &password_of(&secret.to_owned().into(), &ARN.parse().unwrap(), "migration_reader").unwrap(),
            )
        };
        let (one, other) = (made(), made());
        assert!(one.expose_secret().starts_with("SCRAM-SHA-256$4096:"));
        assert!(!one.expose_secret().contains("hunter2"));
        assert_ne!(one.expose_secret(), other.expose_secret());
    }

    #[test]
    fn a_secret_that_is_none_of_the_roles_is_named_and_not_shown() {
        for (secret, reason) in [
            ("hunter2", "not a JSON object with a username and a password"),
            (r#"{"username":"migration_reader"}"#, "not a JSON object with a username and a password"),
            (r#"{"username":"migration_reader","password":7}"#, "not a JSON object"),
            (r#"{"username":"migration_reader","password":""}"#, "not a JSON object"),
            (r#"{"username":"hunter2","password":"hunter2"}"#, "is not that of the role migration_reader"),
        ] {
            let error = password_of(&secret.to_owned().into(), &ARN.parse().unwrap(), "migration_reader")
                .unwrap_err()
                .to_string();
            assert!(error.contains(ARN) && error.contains(reason), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
