//! SQL <-> core types. The only room with SQL in it.
//!
//! A store is made for a [`Purpose`] and from the endpoint that the purpose names; what it can do depends on
//! the purpose, so a notification's store has no way to a replica and a status store none to change a row.
//!
//! A store for notifications takes a writer:
//!
//! ```
//! use shared::{endpoint::{Notification, Writer}, store::Store};
//!
//! fn wire(endpoint: Writer) -> Store<Notification> {
//!     Store::new(endpoint)
//! }
//! ```
//!
//! With a reader the same does not compile:
//!
//! ```compile_fail,E0271
//! use shared::{endpoint::{Notification, Reader}, store::Store};
//!
//! fn wire(endpoint: Reader) -> Store<Notification> {
//!     Store::new(endpoint)
//! }
//! ```
//!
//! What is shown is read through [`ReplicaReads`](crate::endpoint::ReplicaReads), which decides between the reader and
//! the writer:
//!
//! ```
//! use std::sync::Arc;
//! use shared::{endpoint::{ReplicaReads, Status}, store::Store};
//!
//! fn wire(reads: Arc<ReplicaReads>) -> Store<Status> {
//!     Store::new(reads)
//! }
//! ```
//!
//! Nobody shows what the writer has past that decision, not even with the role that can only select:
//!
//! ```compile_fail,E0271
//! use shared::{endpoint::{ReadOnlyWriter, Status}, store::Store};
//!
//! fn wire(writer: ReadOnlyWriter) -> Store<Status> {
//!     Store::new(writer)
//! }
//! ```
//!
//! Statements are one file each beside this one. Every one answers with one JSON document per row, so the
//! rows of every transport are the same. Casts are explicit: the Data API binds text as `text`.

mod attention;
mod census;
mod change;
mod checkup;
mod claim;
mod guard;
mod health;
mod history;
mod idle;
pub mod importer;
mod manage;
mod observe;
mod page;
#[cfg(test)]
mod placeholder_tests;
mod prefixes;
mod progress;
mod read;
mod report;
pub mod schema;
mod tags;
#[cfg(test)]
mod tests;

use crate::{
    endpoint::{EndpointError, ErrorClass, Execution, Failure, Purpose},
    migration::{ContainerRepository, Operator, RepositoryPath},
};

pub use attention::{AttentionFilter, AttentionRow, Trouble};
pub use census::{BrakeNow, Census, Count, HeldNow, Retries, Slots, TagsFound};
pub use change::{Answered, Changed, Verdict};
pub use checkup::Checkup;
pub use claim::{Claimed, Resumed, Started};
pub use guard::{AskingAgain, Lease, NextLook, Noted};
pub use health::HEALTH_PROBE;
pub use history::{History, HistoryPage, Transition};
pub use manage::{HoldSet, Registration, Removed, ReopenFilter, Reopened, SettingsChanged};
pub use observe::Heartbeat;
pub use page::Page;
pub use prefixes::{PrefixCount, PrefixFilter};
pub use progress::{ImporterBytes, Part, Progress};
pub use read::ListFilter;
pub use report::{Actor, ProvenTags, ReportFilter, ReportRow};
pub use tags::{Compared, KeptTags};

/// Checks that a row is the one that `statement` asked for: one of another path must never be taken for it.
fn check_path(
    row: &ContainerRepository,
    path: &RepositoryPath,
    endpoint: &'static str,
    statement: &'static str,
) -> Result<(), EndpointError> {
    if row.path == *path {
        return Ok(());
    }
    let failure = Failure::new(Execution::Unknown, ErrorClass::Undecodable)
        .with_detail("the answer is about another repository".to_owned());
    Err(EndpointError { endpoint, statement, attempts: 1, failure })
}

/// The database, for one purpose.
///
/// Every method that asks it fails with an [`EndpointError`] where its endpoint did not answer. A method says so itself
/// only where more is to be known.
pub struct Store<P: Purpose> {
    endpoint: P::Endpoint,
    /// Who acts, where an operator does who has a name.
    operator: Option<Operator>,
}

impl<P: Purpose> Store<P> {
    /// A store whose statements go to `endpoint`.
    #[must_use]
    pub const fn new(endpoint: P::Endpoint) -> Self {
        Self { endpoint, operator: None }
    }
}

impl<P: Purpose> Clone for Store<P> {
    fn clone(&self) -> Self {
        Self { endpoint: self.endpoint.clone(), operator: self.operator.clone() }
    }
}

impl<P: Purpose> Store<P> {
    /// The same, for what `operator` does: every change is kept with that name.
    #[must_use]
    pub fn by(&self, operator: Option<Operator>) -> Self {
        Self { operator, ..self.clone() }
    }

    /// The name that a change is kept with.
    fn operator(&self) -> Option<&str> {
        self.operator.as_ref().map(Operator::as_str)
    }
}
