//! What this function is told.

use shared::config::{NotificationSettings, RegistrySettings, WriterConfig};

shared::settings! {
    /// What this function is told. It does not learn where a reader is.
    pub struct Config {
        /// Where notifications are read and written.
        pub writer: WriterConfig = all,
        /// Whom to ask for the next step.
        pub registry: RegistrySettings = all,
        /// What the registry presents.
        pub notification: NotificationSettings = all,
    }
}
