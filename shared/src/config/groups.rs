use std::{path::PathBuf, time::Duration};

use url::Url;

use super::{
    ClusterArn, SecretArn,
    secrets::{SecretError, SecretMaxAge, SecretReader, SharedSecret},
};
use crate::{runtime::Rounds, settings};

settings! {
    /// The writer, with the role that may write.
    pub struct WriterConfig {
        /// The cluster.
        pub arn: ClusterArn = required "WRITER_ARN",
        /// The secret of the role that may write.
        pub secret_arn: SecretArn = required "WRITER_SECRET_ARN",
        /// Where the Data API is, if not where the SDK looks.
        pub endpoint_url: Option<Url> = optional "WRITER_ENDPOINT_URL",
        /// The database.
        pub database: String = required "DATABASE_NAME",
    }
}

settings! {
    /// Where the writer is, for a function that reads there when the reader is behind or away. It has no secret
    /// of its own: such a function uses the reader's, whose role can only SELECT.
    pub struct WriterAddress {
        /// The cluster.
        pub arn: ClusterArn = required "WRITER_ARN",
        /// Where the Data API is, if not where the SDK looks.
        pub endpoint_url: Option<Url> = optional "WRITER_ENDPOINT_URL",
    }
}

settings! {
    /// The registry that does the copying.
    pub struct RegistrySettings {
        /// Its address, without the import protocol's path.
        pub url: Url = required "REGISTRY_URL",
        /// The `aud` of its tokens.
        pub token_audience: String = required "REGISTRY_TOKEN_AUDIENCE",
        /// The `iss` of its tokens.
        pub token_issuer: String = required "REGISTRY_TOKEN_ISSUER",
        /// The secret that holds the RSA private key, as PEM, that signs them.
        pub signing_key_secret_arn: SecretArn = required "REGISTRY_SIGNING_KEY_SECRET_ARN",
        /// The file with the authorities (PEM) of its certificate, if they are not the public ones.
        pub authorities: Option<PathBuf> = optional "REGISTRY_CA_FILE",
        /// The host that may be spoken to in clear, if there is one.
        pub insecure_host: Option<String> = optional "REGISTRY_INSECURE_HOST",
    }
}

settings! {
    /// How a function on a schedule repeats its round.
    pub struct ScheduleConfig {
        /// No round is begun later than so many seconds after the run; 0: one round.
        pub repeat_seconds: Option<u64> = optional "REPEAT_SECONDS",
    }
}

impl ScheduleConfig {
    /// How the round is repeated.
    #[must_use]
    pub fn rounds(&self) -> Rounds {
        let during = self.repeat_seconds.map_or(Rounds::OF_A_MINUTE.during, Duration::from_secs);
        Rounds { during, ..Rounds::OF_A_MINUTE }
    }
}

settings! {
    /// What the registry shows when it notifies.
    pub struct NotificationSettings {
        /// The secret that holds it.
        pub secret_arn: SecretArn = required "NOTIFICATION_SECRET_ARN",
        /// How long it is believed.
        pub secret_max_age: Option<SecretMaxAge> = optional "SECRET_MAX_AGE_SECONDS",
    }
}

settings! {
    /// What an operator shows.
    pub struct OperatorSettings {
        /// The secret that holds the token.
        pub token_secret_arn: SecretArn = required "OPERATOR_TOKEN_SECRET_ARN",
        /// How long it is believed.
        pub secret_max_age: Option<SecretMaxAge> = optional "SECRET_MAX_AGE_SECONDS",
    }
}

impl NotificationSettings {
    /// Reads the secret, within the time that a process has to start.
    ///
    /// # Errors
    /// [`SecretError`] when it cannot be read or is empty.
    pub async fn load(&self, secrets: SecretReader) -> Result<SharedSecret, SecretError> {
        SharedSecret::load(secrets, self.secret_arn.clone(), self.secret_max_age.unwrap_or_default()).await
    }
}

impl OperatorSettings {
    /// Reads the token, within the time that a process has to start.
    ///
    /// # Errors
    /// [`SecretError`] when it cannot be read or is empty.
    pub async fn load(&self, secrets: SecretReader) -> Result<SharedSecret, SecretError> {
        SharedSecret::load(secrets, self.token_secret_arn.clone(), self.secret_max_age.unwrap_or_default())
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::{NotificationSettings, RegistrySettings, WriterAddress, WriterConfig};
    use crate::config::{ConfigError, Fault, Variable, from_source, variables};

    crate::settings! {
        /// Two groups that share a variable, and an optional number.
        pub struct Both {
            /// One.
            pub writer: WriterConfig = all,
            /// The other.
            pub address: WriterAddress = all,
            /// A third.
            pub notification: NotificationSettings = all,
            /// A number.
            pub batch: Option<u64> = optional "BATCH",
        }
    }

    const CLUSTER: &str = "arn:aws:rds:eu-central-1:123456789012:cluster:writer";
    const SECRET: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:writer";

    fn value(name: &str) -> Option<String> {
        let value = match name {
            "WRITER_ARN" => CLUSTER,
            "WRITER_SECRET_ARN" | "NOTIFICATION_SECRET_ARN" => SECRET,
            "DATABASE_NAME" => "migrations",
            "WRITER_ENDPOINT_URL" => "http://127.0.0.1:4000",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn a_whole_environment_is_read() {
        let both: Both = from_source(&value).unwrap();
        assert_eq!(both.writer.arn.as_str(), CLUSTER);
        assert_eq!(both.writer.endpoint_url.unwrap().as_str(), "http://127.0.0.1:4000/");
        assert_eq!(both.notification.secret_arn.as_str(), SECRET);
        assert_eq!((both.address.arn.as_str(), both.batch), (CLUSTER, None));
        assert_eq!(both.writer.database, "migrations");
    }

    #[test]
    fn everything_that_is_missing_or_wrong_is_named_at_once_and_once() {
        let source = |name: &str| match name {
            "WRITER_ARN" => Some("hunter2".to_owned()),
            "NOTIFICATION_SECRET_ARN" => Some(String::new()),
            "DATABASE_NAME" => None,
            "BATCH" => Some("many".to_owned()),
            other => value(other),
        };
        let error = from_source::<Both>(&source).unwrap_err();
        let text = error.to_string();
        assert_eq!(text.matches("DATABASE_NAME is missing").count(), 1, "{text}");
        assert_eq!(text.matches("WRITER_ARN is wrong").count(), 1, "{text}");
        assert!(text.contains("NOTIFICATION_SECRET_ARN is missing"), "{text}");
        assert!(text.contains("WRITER_ARN is wrong: not an ARN of the service rds"), "{text}");
        assert!(text.contains("BATCH is wrong: invalid digit"), "{text}");
        assert!(!text.contains("hunter2"), "a wrong value may be a secret in the wrong place: {text}");
        assert_eq!(error.0.len(), 4);
    }

    #[test]
    fn an_address_that_is_none_is_refused_by_name() {
        let source = |name: &str| match name {
            "REGISTRY_URL" => Some("registry".to_owned()),
            "REGISTRY_SIGNING_KEY_SECRET_ARN" => Some(SECRET.to_owned()),
            _ => Some("x".to_owned()),
        };
        let ConfigError(faults) = from_source::<RegistrySettings>(&source).unwrap_err();
        assert!(matches!(&faults[..], [Fault::Wrong { name: "REGISTRY_URL", .. }]), "{faults:?}");
    }

    #[test]
    fn the_variables_are_those_that_the_reading_asks_for() {
        let required = |name| Variable { name, required: true };
        let optional = |name| Variable { name, required: false };
        assert_eq!(
            variables::<Both>(),
            [
                optional("BATCH"),
                required("DATABASE_NAME"),
                required("NOTIFICATION_SECRET_ARN"),
                optional("SECRET_MAX_AGE_SECONDS"),
                required("WRITER_ARN"),
                optional("WRITER_ENDPOINT_URL"),
                required("WRITER_SECRET_ARN"),
            ]
        );
    }
}
