//! The configuration of the functions: environment and secrets. Each function's own composes the groups below, so that
//! none can even ask for what is another's. A leaf: what is connected to by it is made in [`wiring`](crate::wiring).

mod arn;
pub mod aws;
mod environment;
mod notification;
mod operator;
mod reader;
mod registry;
mod schedule;
pub mod secrets;
mod topology;
mod writer;

pub use arn::{ClusterArn, InvalidArn, SecretArn};
pub use environment::{
    ConfigError, Environment, Fault, FromEnvironment, Variable, from_process, from_source, variables,
};
pub use notification::NotificationConfig;
pub use operator::OperatorConfig;
pub use reader::{ReaderAuth, ReaderConfig, ReaderPlace, ReaderServer, UnknownAuth};
pub use registry::RegistryConfig;
pub use schedule::ScheduleConfig;
pub use topology::{Topology, TopologyVariable, UnknownTopology};
pub use writer::{WriterAddress, WriterConfig};
