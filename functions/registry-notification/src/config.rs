//! The configuration of this function.

use shared::config::{NotificationConfig, RegistryConfig, WriterConfig};

shared::config! {
    /// What this function is told. It does not learn where a reader is.
    pub struct Config {
        /// Where notifications are read and written.
        pub writer: WriterConfig = flatten,
        /// Whom to ask for the next step.
        pub registry: RegistryConfig = flatten,
        /// What the registry presents.
        pub notification: NotificationConfig = flatten,
    }
}
