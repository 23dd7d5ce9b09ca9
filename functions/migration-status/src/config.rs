//! What this function is told.

use shared::config::{OperatorSettings, ReaderConfig, WriterAddress};

shared::settings! {
    /// What this function is told. It has no secret that could write.
    pub struct Config {
        /// Where it reads.
        pub reader: ReaderConfig = all,
        /// Where it reads what the reader has not seen yet.
        pub writer: WriterAddress = all,
        /// What operators present.
        pub operator: OperatorSettings = all,
    }
}
