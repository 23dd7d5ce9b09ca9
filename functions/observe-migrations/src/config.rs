//! What this function is told.

use shared::{
    config::{ReaderConfig, WriterConfig},
    telemetry::MetricNamespace,
};

shared::settings! {
    /// What this function is told.
    pub struct Config {
        /// Where a heartbeat is written.
        pub writer: WriterConfig = all,
        /// Where it is looked for, and where is counted.
        pub reader: ReaderConfig = all,
        /// Where CloudWatch keeps the metrics.
        pub namespace: MetricNamespace = required "METRIC_NAMESPACE",
    }
}
