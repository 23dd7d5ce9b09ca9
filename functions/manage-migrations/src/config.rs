//! What this function is told.

use shared::config::{OperatorSettings, RegistrySettings, WriterConfig};

shared::settings! {
    /// What this function is told.
    pub struct Config {
        /// Where everything is read and changed.
        pub writer: WriterConfig = all,
        /// Whom to ask for steps, their end and what there is.
        pub registry: RegistrySettings = all,
        /// What operators present.
        pub operator: OperatorSettings = all,
    }
}
