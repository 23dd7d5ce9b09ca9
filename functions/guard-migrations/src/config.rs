//! What this function is told.

use shared::config::{ReaderConfig, RegistrySettings, ScheduleConfig, WriterConfig};

shared::settings! {
    /// What this function is told.
    pub struct Config {
        /// Where decisions are made.
        pub writer: WriterConfig = all,
        /// Where what seems stuck is looked for.
        pub reader: ReaderConfig = all,
        /// Whom to ask how a repository stands.
        pub registry: RegistrySettings = all,
        /// How long it looks.
        pub schedule: ScheduleConfig = all,
    }
}
