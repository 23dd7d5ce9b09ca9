//! What a registry is told at its start.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use crate::token::TokenCheck;

/// Everything a registry is told. Start from [`Config::new`] and change what differs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The storage to migrate from. Never written by an import.
    pub old_storage: PathBuf,
    /// The storage to migrate to. The registry also keeps the statuses of its imports in this folder.
    pub new_storage: PathBuf,
    /// Where to send notifications; `None` sends none.
    pub notification: Option<Notification>,
    /// Whether it begins in migration mode. Before that mode is switched on there is no import protocol, the old
    /// storage serves all users, and the catalogue lists it; in that mode the catalogue lists the new storage.
    pub migration_mode: bool,
    /// How many imports may run at once.
    pub max_concurrent_imports: usize,
    /// What a token must be.
    pub token: TokenCheck,
    /// How long each import takes at least, on top of nothing: zero is as fast as the disk.
    pub step_time: StepTime,
    /// How often a running import looks whether it was canceled: 5 s in the real one.
    pub cancel_notice: Duration,
    /// How long after a canceled pre import a start is refused: 5 s in the real one.
    pub cancel_settle: Duration,
    /// How long a registry that is told to stop waits for its imports to end and notify: 10 s in the real one. It goes
    /// on listening meanwhile.
    pub shutdown_limit: Duration,
}

/// How long each import takes at least.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepTime {
    /// The pre import.
    pub pre: Duration,
    /// The final import.
    pub r#final: Duration,
}

/// Where notifications go.
#[derive(Debug, Clone)]
pub struct Notification {
    /// The address, with `{path}` where the container repository's path belongs, slashes as they are.
    pub url_template: String,
    /// Sent bare as `Authorization`.
    pub secret: SecretString,
    /// How long an answer may take: 10 s in GitLab's examples.
    pub timeout: Duration,
}

impl Config {
    /// A registry on a free loopback port without notifications, with room for five imports, and otherwise as
    /// the real one is.
    pub fn new(old_storage: impl Into<PathBuf>, new_storage: impl Into<PathBuf>, token: TokenCheck) -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            old_storage: old_storage.into(),
            new_storage: new_storage.into(),
            notification: None,
            migration_mode: true,
            max_concurrent_imports: 5,
            token,
            step_time: StepTime::default(),
            cancel_notice: Duration::from_secs(5),
            cancel_settle: Duration::from_secs(5),
            shutdown_limit: Duration::from_secs(10),
        }
    }
}
