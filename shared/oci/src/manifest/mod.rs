//! Manifests as the bytes that they are. They are read to find what they name, and never written again.

mod content;
mod index;

use bytes::Bytes;
use serde::Deserialize;

pub use self::{
    content::{Content, Descriptor, Kind},
    index::{index_of, merge_indexes},
};
use crate::{
    Algorithm, Digest,
    error::{Cause, Error},
};

/// The largest manifest that is read or sent: what registries take, too.
pub const MANIFEST_LIMIT: usize = 4 << 20;

/// An image of the OCI.
pub const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
/// An index of the OCI.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+json";
const SCHEMA_1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/// Every type of manifest that is asked for. Who does not name a type may be told that the manifest is not there, or be
/// given another one.
pub const MANIFEST_TYPES: &[&str] =
    &[OCI_IMAGE, OCI_INDEX, DOCKER_IMAGE, DOCKER_LIST, OCI_ARTIFACT, SCHEMA_1_SIGNED, SCHEMA_1];

/// A manifest: its bytes and its type as they were read, and the digest of the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    bytes: Bytes,
    media_type: String,
    digest: Digest,
}

impl Manifest {
    /// A manifest, named by its SHA-256.
    #[must_use]
    pub fn new(bytes: Bytes, media_type: String) -> Self {
        let digest = Digest::of(Algorithm::Sha256, &bytes);
        Self { bytes, media_type, digest }
    }

    /// A manifest that `digest` names.
    ///
    /// # Errors
    /// [`Cause::DigestMismatch`] where it names other bytes.
    pub fn named(bytes: Bytes, media_type: String, digest: &Digest) -> Result<Self, Error> {
        let found = Digest::of(digest.algorithm(), &bytes);
        if found != *digest {
            let said = format!("the manifest's bytes are {found} and not {digest}");
            return Err(Error::new(Cause::DigestMismatch, "get manifest", said));
        }
        Ok(Self { bytes, media_type, digest: found })
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Its type, as the registry said it.
    #[must_use]
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// What names it.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Reads what it names.
    ///
    /// # Errors
    /// [`Cause::ManifestInvalid`] where it is of a known type and cannot be read as that.
    pub fn parse(&self) -> Result<Content, Error> {
        Content::read(&self.media_type, &self.bytes)
    }
}

/// The type that the bytes themselves name, for an answer that names none.
pub(crate) fn named_type(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        media_type: String,
    }
    serde_json::from_slice::<Typed>(bytes).ok().map(|typed| typed.media_type)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{MANIFEST_TYPES, Manifest, OCI_IMAGE, named_type};
    use crate::{Algorithm, Digest, error::Cause};

    #[test]
    fn keeps_every_byte() {
        let bytes = Bytes::from_static(b"{ \"schemaVersion\" : 2\r\n}\n");
        let manifest = Manifest::new(bytes.clone(), OCI_IMAGE.to_owned());
        assert_eq!(manifest.bytes(), &bytes);
        assert_eq!(manifest.digest(), &Digest::of(Algorithm::Sha256, &bytes));
    }

    #[test]
    fn refuses_bytes_that_the_digest_does_not_name() {
        let bytes = Bytes::from_static(b"{}");
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let right = Digest::of(algorithm, &bytes);
            assert_eq!(Manifest::named(bytes.clone(), String::new(), &right).unwrap().digest(), &right);
            let wrong = Digest::of(algorithm, b"{ }");
            let refused = Manifest::named(bytes.clone(), String::new(), &wrong).unwrap_err();
            assert_eq!(refused.cause, Cause::DigestMismatch);
        }
    }

    #[test]
    fn finds_the_type_in_the_bytes() {
        let bytes = format!(r#"{{"mediaType":"{OCI_IMAGE}","config":{{}}}}"#);
        assert_eq!(named_type(bytes.as_bytes()).as_deref(), Some(OCI_IMAGE));
        assert_eq!(named_type(b"{}"), None);
        assert_eq!(MANIFEST_TYPES.len(), 7);
    }
}
