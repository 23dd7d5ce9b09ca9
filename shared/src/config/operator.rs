use super::{
    SecretArn,
    secrets::{SecretError, SecretMaxAge, SecretReader, SharedSecret},
};
use crate::config;

config! {
    /// What an operator shows.
    pub struct OperatorConfig {
        /// The secret that holds the token.
        pub token_secret_arn: SecretArn = required "OPERATOR_TOKEN_SECRET_ARN",
        /// How long it is believed.
        pub secret_max_age: Option<SecretMaxAge> = optional "SECRET_MAX_AGE_SECONDS",
    }
}

impl OperatorConfig {
    /// Reads the token, within the time that a process has to start.
    ///
    /// # Errors
    /// [`SecretError`] when it cannot be read or is empty.
    pub async fn load(&self, secrets: SecretReader) -> Result<SharedSecret, SecretError> {
        SharedSecret::load(secrets, self.token_secret_arn.clone(), self.secret_max_age.unwrap_or_default())
            .await
    }
}
