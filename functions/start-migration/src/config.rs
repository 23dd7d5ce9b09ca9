//! The configuration of this function.

use shared::config::{OperatorConfig, RegistryConfig, WriterConfig};

shared::config! {
    /// The configuration of this function.
    pub struct Config {
        /// Where the start is committed.
        pub writer: WriterConfig = flatten,
        /// Whom to ask for the step.
        pub registry: RegistryConfig = flatten,
        /// What operators present.
        pub operator: OperatorConfig = flatten,
    }
}
