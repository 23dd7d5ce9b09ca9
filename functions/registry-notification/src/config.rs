//! The configuration of this function.

use shared::config::{NotificationConfig, RegistryConfig, WriterConfig};

shared::config! {
    /// This function's environment. It does not name a reader.
    pub struct Config {
        /// Where notifications are read and written.
        pub writer: WriterConfig = flatten,
        /// Whom to ask for the next step.
        pub registry: RegistryConfig = flatten,
        /// What the registry presents.
        pub notification: NotificationConfig = flatten,
    }
}
