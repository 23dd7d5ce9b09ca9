//! What the program can be told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use local_registry::{Access, Config, DistributionConfig, Notification, Personality, StepTime, TokenCheck};
use secrecy::SecretString;

/// A local container registry that speaks the import protocol.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the registry until SIGTERM or SIGINT. Prints a JSON line with its address when it listens.
    Serve(Serve),
    /// Run a registry that speaks the distribution API alone, with a journal of every request, until SIGTERM or SIGINT.
    /// Prints a JSON line with its address when it listens.
    ServeDistribution(ServeDistribution),
    /// Write a storage full of images of different sizes, always the same for the same count.
    MakeStorage {
        /// The folder to write into.
        directory: PathBuf,
        /// How many container repositories.
        #[arg(long, default_value_t = 24)]
        repositories: usize,
    },
    /// Compare every container repository of the old storage with the new one, byte for byte.
    Verify {
        /// The storage that was migrated from.
        old: PathBuf,
        /// The storage that was migrated to.
        new: PathBuf,
    },
    /// Ask a registry that is empty and one of ours the same questions, and fail when their answers differ.
    CompareDistribution {
        /// The personality that is to answer as the registry does.
        #[arg(long)]
        personality: Personality,
        /// The registry, as http://127.0.0.1:5000.
        url: String,
    },
    /// Write a fresh pair of keys for signing tokens: private.pem, public.pem, and the latter in certificate.pem.
    MakeKeys {
        /// The folder to write into.
        directory: PathBuf,
    },
    /// Print a token for the import protocol.
    Token(Token),
}

#[derive(Debug, Args)]
pub(crate) struct ServeDistribution {
    /// Whose behaviour it has.
    #[arg(long)]
    personality: Personality,
    /// Where to listen. Port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The folder of its storage, in the OCI distribution layout.
    #[arg(long)]
    storage: PathBuf,
    /// What the journal calls it.
    #[arg(long, default_value = "registry")]
    name: String,
    /// Who may use it; without it everybody.
    #[arg(long, requires = "password_file")]
    user: Option<String>,
    /// The file that holds the password.
    #[arg(long)]
    password_file: Option<PathBuf>,
    /// Ask for tokens, not for the name and the password at each request.
    #[arg(long, requires = "user")]
    tokens: bool,
    /// A blob of more bytes than this is hashed and not kept.
    #[arg(long)]
    keep_at_most: Option<u64>,
    /// How much longer each answer takes, in milliseconds.
    #[arg(long, default_value_t = 0)]
    delay_milliseconds: u64,
}

impl ServeDistribution {
    pub(crate) fn config(self) -> anyhow::Result<DistributionConfig> {
        let mut config = DistributionConfig::new(self.personality, self.storage);
        (config.listen, config.name) = (self.listen, self.name);
        config.settings.keep_at_most = self.keep_at_most;
        config.settings.delay_milliseconds = self.delay_milliseconds;
        if let (Some(user), Some(file)) = (self.user, self.password_file) {
            let text =
                std::fs::read_to_string(&file).with_context(|| format!("the password {}", file.display()))?;
            let password = SecretString::from(text.trim_end());
            config.access = match self.tokens {
                true => Access::Bearer { user, password, anonymous_pull: false },
                false => Access::Basic { user, password },
            };
        }
        Ok(config)
    }
}

#[derive(Debug, Args)]
pub(crate) struct Token {
    /// The private key, PEM.
    #[arg(long)]
    pub(crate) private_key: PathBuf,
    /// The token's `aud`.
    #[arg(long, env = "LOCAL_REGISTRY_TOKEN_AUDIENCE", default_value = "container_registry")]
    pub(crate) audience: String,
    /// The token's `iss`.
    #[arg(long, env = "LOCAL_REGISTRY_TOKEN_ISSUER", default_value = "migration-driver")]
    pub(crate) issuer: String,
    /// How long it is good for.
    #[arg(long, default_value_t = 300)]
    pub(crate) valid_seconds: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where to listen. Port 0 takes a free one.
    #[arg(long, env = "LOCAL_REGISTRY_LISTEN", default_value = "127.0.0.1:5000")]
    listen: SocketAddr,
    /// The storage to migrate from, in the OCI distribution layout.
    #[arg(long, env = "LOCAL_REGISTRY_OLD_STORAGE")]
    old_storage: PathBuf,
    /// The storage to migrate to.
    #[arg(long, env = "LOCAL_REGISTRY_NEW_STORAGE")]
    new_storage: PathBuf,
    /// Where to send notifications, with {path} where the container repository's path belongs.
    #[arg(long, env = "LOCAL_REGISTRY_NOTIFICATION_URL", requires = "notification_secret")]
    notification_url: Option<String>,
    /// Sent bare as the notifications' Authorization.
    #[arg(long, env = "LOCAL_REGISTRY_NOTIFICATION_SECRET", hide_env_values = true)]
    notification_secret: Option<SecretString>,
    /// How long the answer to a notification may take, in milliseconds.
    #[arg(long, env = "LOCAL_REGISTRY_NOTIFICATION_TIMEOUT_MS", default_value_t = 10_000)]
    notification_timeout_ms: u64,
    /// Begin before migration mode: the old storage serves all users, the catalogue lists it, and there is no import
    /// protocol. PUT /-/migration-mode with the body true switches it on.
    #[arg(long, env = "LOCAL_REGISTRY_BEFORE_MIGRATION_MODE")]
    before_migration_mode: bool,
    /// How many imports may run at once.
    #[arg(long, env = "LOCAL_REGISTRY_MAX_CONCURRENT_IMPORTS", default_value_t = 5)]
    max_concurrent_imports: usize,
    /// The public key that tokens are checked with, PEM.
    #[arg(long, env = "LOCAL_REGISTRY_TOKEN_PUBLIC_KEY")]
    token_public_key: PathBuf,
    /// The `aud` a token must have.
    #[arg(long, env = "LOCAL_REGISTRY_TOKEN_AUDIENCE", default_value = "container_registry")]
    token_audience: String,
    /// The `iss` a token must have.
    #[arg(long, env = "LOCAL_REGISTRY_TOKEN_ISSUER", default_value = "migration-driver")]
    token_issuer: String,
    /// How long each pre import takes at least, in milliseconds.
    #[arg(long, env = "LOCAL_REGISTRY_PRE_STEP_MS", default_value_t = 0)]
    pre_step_ms: u64,
    /// How long each final import takes at least, in milliseconds.
    #[arg(long, env = "LOCAL_REGISTRY_FINAL_STEP_MS", default_value_t = 0)]
    final_step_ms: u64,
    /// How often a running import looks whether it was canceled, in milliseconds.
    #[arg(long, env = "LOCAL_REGISTRY_CANCEL_NOTICE_MS", default_value_t = 5_000)]
    cancel_notice_ms: u64,
    /// How long after a canceled pre import a start is refused, in milliseconds.
    #[arg(long, env = "LOCAL_REGISTRY_CANCEL_SETTLE_MS", default_value_t = 5_000)]
    cancel_settle_ms: u64,
    /// How long to wait at the end for imports to stop and notify, in milliseconds.
    #[arg(long, env = "LOCAL_REGISTRY_SHUTDOWN_LIMIT_MS", default_value_t = 10_000)]
    shutdown_limit_ms: u64,
}

impl Serve {
    pub(crate) fn config(self) -> anyhow::Result<Config> {
        let timeout = Duration::from_millis(self.notification_timeout_ms);
        let notification = self
            .notification_url
            .zip(self.notification_secret)
            .map(|(url_template, secret)| Notification { url_template, secret, timeout });
        let token = TokenCheck {
            public_key_pem: std::fs::read_to_string(&self.token_public_key)
                .with_context(|| format!("the public key {}", self.token_public_key.display()))?,
            audience: self.token_audience,
            issuer: self.token_issuer,
        };
        Ok(Config {
            listen: self.listen,
            notification,
            migration_mode: !self.before_migration_mode,
            max_concurrent_imports: self.max_concurrent_imports,
            step_time: StepTime {
                pre: Duration::from_millis(self.pre_step_ms),
                r#final: Duration::from_millis(self.final_step_ms),
            },
            cancel_notice: Duration::from_millis(self.cancel_notice_ms),
            cancel_settle: Duration::from_millis(self.cancel_settle_ms),
            shutdown_limit: Duration::from_millis(self.shutdown_limit_ms),
            ..Config::new(self.old_storage, self.new_storage, token)
        })
    }
}
