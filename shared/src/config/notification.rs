use super::{
    SecretArn,
    secrets::{SecretError, SecretMaxAge, SecretReader, SharedSecret},
};
use crate::config;

config! {
    /// What the registry shows when it notifies.
    pub struct NotificationConfig {
        /// The secret that holds it.
        pub secret_arn: SecretArn = required "NOTIFICATION_SECRET_ARN",
        /// How long it is believed.
        pub secret_max_age: Option<SecretMaxAge> = optional "SECRET_MAX_AGE_SECONDS",
    }
}

impl NotificationConfig {
    /// Reads the secret, within the time that a process has to start.
    ///
    /// # Errors
    /// [`SecretError`] when it cannot be read or is empty.
    pub async fn load(&self, secrets: SecretReader) -> Result<SharedSecret, SecretError> {
        SharedSecret::load(secrets, self.secret_arn.clone(), self.secret_max_age.unwrap_or_default()).await
    }
}
