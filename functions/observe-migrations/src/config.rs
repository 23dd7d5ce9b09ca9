//! The configuration of this function.

use shared::{
    config::{ReaderConfig, WriterConfig},
    telemetry::MetricNamespace,
};

shared::config! {
    /// The configuration of this function.
    pub struct Config {
        /// Where a heartbeat is written.
        pub writer: WriterConfig = flatten,
        /// Where it is looked for, and where is counted.
        pub reader: ReaderConfig = flatten,
        /// Where CloudWatch keeps the metrics.
        pub namespace: MetricNamespace = required "METRIC_NAMESPACE",
    }
}
