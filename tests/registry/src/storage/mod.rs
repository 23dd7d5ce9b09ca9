//! Image storages on disk, in the layout that OCI distribution (Debian's docker-registry) uses.
//!
//! ```text
//! docker/registry/v2/
//!   blobs/sha256/ab/abcd…/data
//!   repositories/<path>/
//!     _layers/sha256/<hex>/link                 config and layers
//!     _manifests/revisions/sha256/<hex>/link    manifests
//!     _manifests/tags/<tag>/current/link
//!     _manifests/tags/<tag>/index/sha256/<hex>/link
//! ```

mod copy;
mod error;
mod image;
mod layout;
mod manifest;
mod sample;
mod verify;
mod write;

pub use copy::{Item, Plan};
pub use error::StorageError;
pub use image::{Flavor, ImageOptions};
pub use layout::Storage;
pub use manifest::Manifest;
pub(crate) use manifest::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};
pub use sample::{Sample, write_sample};
pub use verify::{Verified, verify};
