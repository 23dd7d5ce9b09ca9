//! The importer's rows: what it copies, who works on it, how far that has come, and what is proven.

mod blobs;
mod lease;
mod proof;
mod protocol;
mod shown_proof;
mod uploads;

pub use blobs::{BlobClaim, Claimant};
pub use lease::{Heartbeat, Holder, Lease, Limit, Progress};
pub use proof::{ProofRow, TagRecord, TagState};
pub use protocol::{Import, ImportCanceled, ImportStart, ImportStatus, ImportStep, Notice, StartVerdict};
pub use shown_proof::{ShownProof, ShownTag};
pub use uploads::KeptUpload;
