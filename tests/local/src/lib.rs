//! Brings the whole local stack up: the PostgreSQL pair, the Data API, the secrets, the registry and the
//! functions under cargo lambda.
//!
//! [`Stack`] owns all of it and ends all of it. Which reader it has is its [`Topology`].

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod binaries;
mod client;
mod concurrency_limit;
mod database;
mod function;
mod functions;
mod gateway;
mod names;
mod options;
pub mod output;
mod secrets;
pub mod source;
mod stack;
mod stack_file;
mod ticker;
mod witness;
mod worker;

pub use binaries::{cargo_lambda, functions as built_functions, workspace};
pub use client::Client;
pub use database::template as deployed;
pub use function::{Environment, Function};
pub use functions::FunctionSet;
pub use names::{
    DATABASE, NOTIFICATION_SECRET_ARN, OPERATOR_TOKEN_SECRET_ARN, OWNER_ROLE, OWNER_SECRET_ARN, READER_ARN,
    READER_SECRET_ARN, REPLICATION_SECRET_ARN, SIGNING_KEY_SECRET_ARN, STACK_ID, WRITER_ARN,
    WRITER_SECRET_ARN,
};
pub use options::{AS_DEPLOYED, RegistryChoice, StackOptions, Topology};
pub use secrets::SecretStore;
pub use stack::{Proxies, Stack};
pub use stack_file::{Announcement, Place, StackFile};
pub use ticker::Ticker;
pub use witness::{Row, Sighting, Witness};

// What the stack consists of is used directly by those who run on it.
pub use local_data_api;
pub use local_registry;
pub use postgres_pair;
