//! What a stack is started with.

use std::path::PathBuf;
use std::time::Duration;

use local_registry::StepTime;
use serde::{Deserialize, Serialize};
use shared::runtime::Rounds;

use crate::function::Function;

/// What a stack is started with. Start from the default and change what differs.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// What the reader is.
    pub topology: Topology,
    /// Puts a proxy that can be broken in front of each database, of the Data API and of our own registry, for
    /// everything that the functions send there.
    pub proxies: bool,
    /// Whose registry does the copying.
    pub registry: RegistryChoice,
    /// The host under which the registry reaches the functions. Anything but a loopback address makes them
    /// listen on every interface.
    pub notification_host: Option<String>,
    /// How long the registry waits for the answer to a notification.
    pub notification_timeout: Duration,
    /// Puts a [`Witness`](crate::Witness) between the registry and the functions.
    pub witness: bool,
    /// The functions to start. A stack without some of them still has their environment.
    pub functions: Vec<Function>,
    /// How many processes of each function: so many requests it handles at once.
    pub instances: usize,
    /// The functions' LOG_LEVEL.
    pub log_level: String,
    /// The setting `enabled`.
    pub enabled: bool,
    /// The setting `capacity`.
    pub capacity: i32,
    /// The setting `retry_backoff_seconds`.
    pub retry_backoff_seconds: i32,
    /// How much later than the writer the reader shows a commit.
    pub lag: Duration,
    /// For how long a scheduled function repeats its round; see [`AS_DEPLOYED`]. Zero: one round.
    pub repeat: Duration,
}

/// How often the scheduled functions are invoked when deployed, and for how long they repeat their round.
pub const AS_DEPLOYED: (Duration, Duration) = (Duration::from_secs(60), Rounds::OF_A_MINUTE.during);

/// What the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topology {
    /// A streaming standby, behind an ARN of its own. AWS has no Data API on a standby: a stand-in for
    /// `replica-cluster` whose lag can be set exactly. The functions are told TOPOLOGY=replica-cluster.
    StandbyCluster,
    /// The writer's cluster, with the secret that can only SELECT.
    Single,
    /// A streaming standby, reached over TCP and TLS.
    DirectReader,
    /// A logical replica behind an ARN of its own: not in recovery, accepts writes, can be paused and not delayed.
    ReplicaCluster,
}

/// Whose registry does the copying.
#[derive(Debug, Clone)]
pub enum RegistryChoice {
    /// Our own.
    Local {
        /// The storage to migrate from; none makes an empty one.
        old_storage: Option<PathBuf>,
        /// The storage to migrate to; none makes an empty one that goes with the stack.
        new_storage: Option<PathBuf>,
        /// How many imports may run at once.
        max_concurrent_imports: usize,
        /// How long each import takes at least.
        step_time: StepTime,
    },
    /// One that runs already. It must send its notifications to the address that the stack reports, and trust
    /// the key that the stack reports.
    Outside {
        /// Its address.
        url: String,
    },
}

impl Default for StackOptions {
    fn default() -> Self {
        Self {
            topology: Topology::StandbyCluster,
            proxies: false,
            registry: RegistryChoice::default(),
            notification_host: None,
            notification_timeout: Duration::from_secs(10),
            witness: false,
            functions: Function::ALL.to_vec(),
            instances: 8,
            log_level: "info".to_owned(),
            enabled: true,
            capacity: 8,
            retry_backoff_seconds: 0,
            lag: Duration::ZERO,
            repeat: Duration::ZERO,
        }
    }
}

impl Default for RegistryChoice {
    fn default() -> Self {
        Self::Local {
            old_storage: None,
            new_storage: None,
            max_concurrent_imports: 8,
            step_time: StepTime::default(),
        }
    }
}
