//! The configuration of this function.

use shared::config::{OperatorConfig, ReaderConfig, WriterAddress};

shared::config! {
    /// This function's environment. It has no secret that could write.
    pub struct Config {
        /// Where it reads.
        pub reader: ReaderConfig = flatten,
        /// Where it reads what the reader has not seen yet.
        pub writer: WriterAddress = flatten,
        /// What operators present.
        pub operator: OperatorConfig = flatten,
    }
}
