//! What a manifest names.

use serde::Deserialize;

use super::StorageError;
use crate::digest::Digest;

/// The media type of an OCI image manifest.
pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of an OCI index: one image for several platforms.
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The media type of a Docker image manifest, schema 2.
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// The media type of a Docker manifest list: one image for several platforms.
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// A manifest or an index, as far as following it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// What to answer as `Content-Type`.
    pub media_type: String,
    /// The config of an image.
    pub config: Option<Digest>,
    /// Config and layers.
    pub blobs: Vec<Named>,
    /// The manifests of an index.
    pub manifests: Vec<Named>,
}

/// Content that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Named {
    /// Its digest.
    pub digest: Digest,
    /// Its kind.
    pub media_type: String,
}

impl Named {
    /// Whether registries do not keep it: layers that may not be distributed lie elsewhere.
    pub fn is_foreign(&self) -> bool {
        self.media_type.contains(".foreign.") || self.media_type.contains(".nondistributable.")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    media_type: Option<String>,
    config: Option<Named>,
    #[serde(default)]
    layers: Vec<Named>,
    manifests: Option<Vec<Named>>,
}

impl Manifest {
    /// Reads a manifest or an index.
    ///
    /// # Errors
    /// [`StorageError::InvalidManifest`] for anything but schema 2: OCI and Docker manifests and indexes.
    pub fn parse(content: &[u8]) -> Result<Self, StorageError> {
        let invalid = |reason: String| StorageError::InvalidManifest { digest: Digest::of(content), reason };
        let document: Document =
            serde_json::from_slice(content).map_err(|error| invalid(error.to_string()))?;
        if document.schema_version != 2 {
            return Err(invalid(format!("schema version {} is not known", document.schema_version)));
        }
        if document.config.is_none() && document.manifests.is_none() {
            return Err(invalid("it has neither a config nor manifests".to_owned()));
        }
        // OCI manifests may leave their media type out: what they hold tells.
        let guess = if document.manifests.is_some() { OCI_INDEX } else { OCI_MANIFEST };
        Ok(Self {
            media_type: document.media_type.unwrap_or_else(|| guess.to_owned()),
            config: document.config.as_ref().map(|config| config.digest.clone()),
            blobs: document.config.into_iter().chain(document.layers).collect(),
            manifests: document.manifests.unwrap_or_default(),
        })
    }
}
