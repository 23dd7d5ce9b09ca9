//! The configuration of this function.

use shared::config::{RegistryConfig, ScheduleConfig, WriterConfig};

shared::config! {
    /// The configuration of this function.
    pub struct Config {
        /// Where slots are claimed.
        pub writer: WriterConfig = flatten,
        /// Whom to ask for a step.
        pub registry: RegistryConfig = flatten,
        /// How long it fills slots.
        pub schedule: ScheduleConfig = flatten,
    }
}
