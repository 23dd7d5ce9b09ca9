//! What this function is told.

use shared::config::{OperatorSettings, RegistrySettings, WriterConfig};

shared::settings! {
    /// What this function is told.
    pub struct Config {
        /// Where the start is committed.
        pub writer: WriterConfig = all,
        /// Whom to ask for the step.
        pub registry: RegistrySettings = all,
        /// What operators present.
        pub operator: OperatorSettings = all,
    }
}
