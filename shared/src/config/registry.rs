use std::path::PathBuf;

use url::Url;

use super::SecretArn;
use crate::config;

config! {
    /// The registry that does the copying.
    pub struct RegistryConfig {
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
