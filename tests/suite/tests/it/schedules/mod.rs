//! What runs on a schedule: the guard and the metrics.

mod guard;
pub mod observation;
