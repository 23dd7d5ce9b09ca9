//! Where things are in a storage, and reading them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::StorageError;
use super::error::At;
use crate::digest::Digest;
use crate::name::{is_repository_name, is_tag};

/// One image storage: a folder in the OCI distribution layout. A folder without anything in it is an empty
/// storage, and so is one that does not exist.
#[derive(Debug, Clone)]
pub struct Storage {
    root: PathBuf,
}

impl Storage {
    /// The storage under `root` (what docker-registry calls `rootdirectory`).
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder it lives in.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Every container repository that has manifests, sorted by path.
    pub fn repositories(&self) -> Result<Vec<String>, StorageError> {
        self.repositories_with(|name| name == "_manifests")
    }

    fn repositories_with(&self, shows: impl Fn(&str) -> bool) -> Result<Vec<String>, StorageError> {
        let top = self.base().join("repositories");
        let mut found = Vec::new();
        let mut folders = vec![(top, String::new())];
        while let Some((folder, path)) = folders.pop() {
            for name in folder_names(&folder)? {
                if shows(&name) {
                    found.push(path.clone());
                }
                if !name.starts_with('_') {
                    let below = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                    folders.push((folder.join(&name), below));
                }
            }
        }
        found.retain(|path| is_repository_name(path));
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// Every folder that is one of a container repository, also of one that has but blobs or uploads, sorted by path.
    pub(crate) fn known_repositories(&self) -> Result<Vec<String>, StorageError> {
        self.repositories_with(|name| matches!(name, "_manifests" | "_layers" | "_uploads"))
    }

    /// Every container repository that has had a config or a layer, sorted by path.
    pub(crate) fn repositories_with_layers(&self) -> Result<Vec<String>, StorageError> {
        self.repositories_with(|name| name == "_layers")
    }

    /// Whether the container repository has ever had a tag.
    pub(crate) fn had_tags(&self, path: &str) -> bool {
        self.repository_folder(path).is_ok_and(|folder| folder.join("_manifests/tags").is_dir())
    }

    /// Where an upload is kept until it is whole.
    pub(crate) fn upload_path(&self, path: &str, id: &str) -> Result<PathBuf, StorageError> {
        Ok(self.repository_folder(path)?.join("_uploads").join(id).join("data"))
    }

    /// The layer that was stored under this SHA-512 too.
    pub(crate) fn layer_named_sha512(&self, path: &str, hex: &str) -> Result<Option<Digest>, StorageError> {
        read_link(&self.sha512_link(path, hex)?)
    }

    pub(super) fn sha512_link(&self, path: &str, hex: &str) -> Result<PathBuf, StorageError> {
        Ok(self.repository_folder(path)?.join("_layers/sha512").join(hex).join("link"))
    }

    /// Whether the storage holds the container repository `path`. A path that is no name is not held.
    pub fn holds(&self, path: &str) -> bool {
        self.repository_folder(path).is_ok_and(|folder| folder.join("_manifests").is_dir())
    }

    /// The tags of a container repository and the manifest each names now.
    pub fn tags(&self, path: &str) -> Result<BTreeMap<String, Digest>, StorageError> {
        let folder = self.repository_folder(path)?.join("_manifests/tags");
        let mut tags = BTreeMap::new();
        for tag in folder_names(&folder)? {
            if let Some(digest) = read_link(&folder.join(&tag).join("current/link"))? {
                tags.insert(tag, digest);
            }
        }
        Ok(tags)
    }

    /// The manifests of a container repository, tagged or not.
    pub fn revisions(&self, path: &str) -> Result<BTreeSet<Digest>, StorageError> {
        let folder = self.repository_folder(path)?.join("_manifests/revisions/sha256");
        let mut revisions = BTreeSet::new();
        for hex in folder_names(&folder)? {
            // A deleted manifest leaves its folder behind without the link.
            if let Some(digest) = read_link(&folder.join(hex).join("link"))? {
                revisions.insert(digest);
            }
        }
        Ok(revisions)
    }

    /// Whether the container repository has this manifest.
    pub fn has_manifest(&self, path: &str, digest: &Digest) -> Result<bool, StorageError> {
        Ok(self.revision_link(path, digest)?.is_file())
    }

    /// Whether the container repository has this config or layer.
    pub fn has_layer(&self, path: &str, digest: &Digest) -> Result<bool, StorageError> {
        Ok(self.layer_link(path, digest)?.is_file())
    }

    /// Where the content of a digest lies.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.base().join("blobs/sha256").join(&hex[..2]).join(hex).join("data")
    }

    /// The size of a blob in bytes; `None` when the storage does not have it.
    pub fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, StorageError> {
        let path = self.blob_path(digest);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).at(&path),
        }
    }

    /// The whole content of a blob, its digest checked. For manifests and configs; layers are streamed.
    pub fn read_blob(&self, digest: &Digest) -> Result<Vec<u8>, StorageError> {
        let path = self.blob_path(digest);
        let content = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(StorageError::BlobUnknown(digest.clone()));
            }
            read => read.at(&path)?,
        };
        let actual = Digest::of(&content);
        if actual != *digest {
            return Err(StorageError::DigestMismatch { expected: digest.clone(), actual });
        }
        Ok(content)
    }

    pub(super) fn base(&self) -> PathBuf {
        self.root.join("docker/registry/v2")
    }

    pub(super) fn repository_folder(&self, path: &str) -> Result<PathBuf, StorageError> {
        if !is_repository_name(path) {
            return Err(StorageError::InvalidName(path.to_owned()));
        }
        Ok(self.base().join("repositories").join(path))
    }

    pub(super) fn tag_folder(&self, path: &str, tag: &str) -> Result<PathBuf, StorageError> {
        if !is_tag(tag) {
            return Err(StorageError::InvalidName(tag.to_owned()));
        }
        Ok(self.repository_folder(path)?.join("_manifests/tags").join(tag))
    }

    pub(super) fn revision_link(&self, path: &str, digest: &Digest) -> Result<PathBuf, StorageError> {
        let revisions = self.repository_folder(path)?.join("_manifests/revisions/sha256");
        Ok(revisions.join(digest.hex()).join("link"))
    }

    pub(super) fn layer_link(&self, path: &str, digest: &Digest) -> Result<PathBuf, StorageError> {
        Ok(self.repository_folder(path)?.join("_layers/sha256").join(digest.hex()).join("link"))
    }
}

/// The folders directly inside `folder`; none when it does not exist.
fn folder_names(folder: &Path) -> Result<Vec<String>, StorageError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.at(folder)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.at(folder)?;
        if entry.file_type().at(folder)?.is_dir() {
            names.extend(entry.file_name().into_string().ok());
        }
    }
    Ok(names)
}

fn read_link(path: &Path) -> Result<Option<Digest>, StorageError> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => {
            let text = read.at(path)?;
            let digest = text.trim().parse();
            digest.map(Some).map_err(|source| StorageError::InvalidLink { path: path.to_owned(), source })
        }
    }
}
