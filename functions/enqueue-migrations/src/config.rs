//! What this function is told.

use shared::config::{RegistrySettings, ScheduleConfig, WriterConfig};

shared::settings! {
    /// What this function is told.
    pub struct Config {
        /// Where slots are claimed.
        pub writer: WriterConfig = all,
        /// Whom to ask for a step.
        pub registry: RegistrySettings = all,
        /// How long it fills slots.
        pub schedule: ScheduleConfig = all,
    }
}
