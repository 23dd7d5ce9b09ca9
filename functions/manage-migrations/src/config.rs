//! The configuration of this function.

use shared::config::{OperatorConfig, RegistryConfig, WriterConfig};

shared::config! {
    /// The configuration of this function.
    pub struct Config {
        /// Where everything is read and changed.
        pub writer: WriterConfig = flatten,
        /// Whom to ask for steps, their end and what there is.
        pub registry: RegistryConfig = flatten,
        /// What operators present.
        pub operator: OperatorConfig = flatten,
    }
}
