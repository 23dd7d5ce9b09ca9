//! What a function is told: environment and secrets. Each function's own configuration composes the groups
//! below, so that none can even ask for what another is told.

mod arn;
pub mod aws;
mod clients;
mod endpoints;
mod environment;
mod groups;
pub mod secrets;
mod topology;

pub use arn::{ClusterArn, InvalidArn, SecretArn};
pub use clients::RegistryClientError;
pub use environment::{
    ConfigError, Environment, Fault, Settings, Variable, from_process, from_source, variables,
};
pub use groups::{
    NotificationSettings, OperatorSettings, RegistrySettings, ScheduleConfig, WriterAddress, WriterConfig,
};
pub use topology::{
    ReaderAuth, ReaderConfig, ReaderPlace, ReaderServer, Topology, UnknownAuth, UnknownTopology,
};
