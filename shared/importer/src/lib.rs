//! Copies repositories from any source registry to a target registry, and proves at the end that nothing was lost.
//!
//! A repository is copied in two steps: `pre` copies all blobs and manifests while the source is written to, `final` what
//! is new since, then the tags, and reads everything back. What is done next is decided by pure functions (`tree`,
//! `cause`, `decide`); what is done goes over [`oci`]'s clients and the rows of
//! [`shared::store::importer`]. Any process may end anywhere: another goes on from the rows.
//!
//! It is a crate of its own, so that no function but those that copy contains it.

mod blobs;
mod buffers;
mod cache;
mod cause;
mod decide;
mod drift;
mod fleet;
mod importer;
mod job;
mod manifests;
mod plan;
mod proof;
pub mod protocol;
mod source;
mod spread;
mod steps;
mod stop;
mod tags;
mod tree;
mod verify;
mod worker;

pub use cache::{FolderCache, ManifestCache, MemoryCache};
pub use cause::{Cause, Problem};
pub use decide::start_plan;
pub use drift::{Comparison, Difference, Drift};
pub use fleet::{Report, RepositoryReport, Status};
pub use importer::{Counters, Importer, Tuning, Wiring};
pub use plan::{Plan, RepositoryPlan, Sample, Totals};
pub use spread::Spread;
pub use stop::Stop;
pub use worker::Copied;
