//! The configuration of this function.

use shared::config::{ReaderConfig, RegistryConfig, ScheduleConfig, WriterConfig};

shared::config! {
    /// The configuration of this function.
    pub struct Config {
        /// Where decisions are made.
        pub writer: WriterConfig = flatten,
        /// Where what seems stuck is looked for.
        pub reader: ReaderConfig = flatten,
        /// Whom to ask how a repository stands.
        pub registry: RegistryConfig = flatten,
        /// How long it looks.
        pub schedule: ScheduleConfig = flatten,
    }
}
