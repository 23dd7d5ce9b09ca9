//! Where SQL can be sent: the writer and the reader, chosen by purpose.
//!
//! There is no default endpoint and no value that could be either. A [`Purpose`] names the one type its
//! statements are sent through, so a notification's code can only be given a [`Writer`], and a statement that
//! writes can only be given to a [`Writer`]. [`PURPOSES`] is the same table as data.
//!
//! For purposes that read on the reader, [`ReplicaReads`] decides for each read whether the reader or the writer answers:
//! by what the caller has seen, by the reader's health (`health`, `role`), and by what failed (`bypass`, `fallback`).

mod bypass;
mod data_api;
mod data_api_error;
mod error;
mod failure;
mod fallback;
mod fetch;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod handles;
mod health;
mod purpose;
mod reads;
mod role;
#[cfg(test)]
pub(crate) mod scripted_server;
#[cfg(test)]
pub(crate) mod scripted_transport;
mod served;
mod statement;
#[cfg(test)]
mod tests;
mod token_bucket;
mod transactions;
mod transport;

pub use data_api::{DataApi, EndpointConfig};
pub use error::EndpointError;
pub use failure::{ErrorClass, Execution, Failure, SqlState};
pub use fallback::{Resort, fallback_table, resort, resort_past_bound};
pub use handles::{Endpoints, ReadOnlyWriter, Reader, ReaderConnections, Writer};
pub use health::HealthProbe;
pub use purpose::{
    Claim, Consistency, CopyRepository, EndpointKind, Guard, History, ImportProtocol, List, Manage,
    Notification, Observe, PURPOSES, Purpose, PurposeRule, Schema, StaleScan, Start, Status, Summary,
    purposes_table,
};
pub use reads::ReplicaReads;
pub use role::{Identity, ReaderLag, ReaderRule, ReaderStatus, Relation, WriterStatus};
pub use served::{Served, ServedBy};
pub use statement::{Effect, ONE_SENDING, Read, Repeat, Statement, Value, Write};
pub use transactions::{Transaction, Transactions};
pub use transport::{Call, Transport};
