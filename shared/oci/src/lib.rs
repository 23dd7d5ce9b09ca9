//! A client of the OCI distribution API. It knows nothing of migrations.
//!
//! [`Client`] speaks to one registry: it logs in, follows redirects without taking credentials along, keeps the registry's
//! limits, and tries again what may be tried again. Manifests are bytes that are never written again. A blob is read and
//! sent part by part. [`Profile`] says how a registry treats an upload that was cut off.
//!
//! Every call ends at its deadline. One that is dropped cuts its request off.

mod auth;
mod blobs;
mod body;
mod client;
mod config;
mod digest;
mod error;
mod exchange;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gate;
mod hash;
mod limits;
mod list;
mod manifest;
mod manifests;
mod name;
mod pace;
mod reach;
mod referrers;
#[cfg(test)]
mod tests;
mod tls;
mod uploads;

pub use blobs::{BlobBody, BlobHead, BlobReader};
pub use client::{Client, Login};
pub use config::{Access, ClientConfig, ConfigError, Credentials, Profile, Retries};
pub use digest::{Algorithm, Digest, InvalidDigest};
pub use error::{Cause, Error, Sent};
pub use hash::{Hasher, StaleState};
pub use limits::{Action, Limits, Traffic};
pub use list::Page;
pub use manifest::{
    Content, Descriptor, Kind, MANIFEST_LIMIT, MANIFEST_TYPES, Manifest, OCI_IMAGE, OCI_INDEX, index_of,
    merge_indexes,
};
pub use manifests::{Head, Written};
pub use name::{InvalidName, InvalidTag, Name, Reference, Tag};
pub use reach::{Resolver, SystemResolver};
pub use tls::{TlsError, trust};
pub use uploads::{Mount, Put, Standing, Upload};
