//! What can go wrong with a storage.

use std::io;
use std::path::{Path, PathBuf};

use crate::digest::{Digest, InvalidDigest};

/// Why a storage could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was to be read or written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The name does not follow the grammar, so it has no folder.
    #[error("not a repository or tag name: {0:?}")]
    InvalidName(String),
    /// A link file does not hold a digest.
    #[error("{}: {source}", path.display())]
    InvalidLink {
        /// The link file.
        path: PathBuf,
        /// What it holds instead.
        source: InvalidDigest,
    },
    /// A manifest or a link names content that the storage does not have.
    #[error("blob unknown to the storage: {0}")]
    BlobUnknown(Digest),
    /// The content does not have the digest it is stored under.
    #[error("digest mismatch: {expected} holds {actual}")]
    DigestMismatch {
        /// The digest it is stored under.
        expected: Digest,
        /// The digest it has.
        actual: Digest,
    },
    /// A manifest of a kind that cannot be followed.
    #[error("manifest {digest}: {reason}")]
    InvalidManifest {
        /// Which manifest.
        digest: Digest,
        /// What is wrong with it.
        reason: String,
    },
    /// The two storages differ.
    #[error("{repository}: {what}")]
    Differs {
        /// The container repository.
        repository: String,
        /// The first difference found.
        what: String,
    },
}

/// Adds the path to what the system said.
pub(super) trait At<T> {
    fn at(self, path: &Path) -> Result<T, StorageError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &Path) -> Result<T, StorageError> {
        self.map_err(|source| StorageError::Io { path: path.to_owned(), source })
    }
}
