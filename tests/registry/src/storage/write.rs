//! Writing into a storage. Every file appears whole or not at all.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::error::At;
use super::{Manifest, Storage, StorageError};
use crate::digest::{Digest, Hasher};

/// How much of a blob is in memory while it is copied.
const PIECE_BYTES: usize = 256 * 1024;

impl Storage {
    /// Stores `content` as a blob and says its digest.
    pub fn put_blob(&self, content: &[u8]) -> Result<Digest, StorageError> {
        let digest = Digest::of(content);
        if self.blob_size(&digest)?.is_none() {
            write_whole(&self.blob_path(&digest), content)?;
        }
        Ok(digest)
    }

    /// Stores what `source` yields, which must have the digest `expected`. Nothing stays when it has not.
    pub fn put_blob_from(&self, mut source: impl Read, expected: &Digest) -> Result<u64, StorageError> {
        let target = self.blob_path(expected);
        let partial = partial_path(&target)?;
        let stored = stream(&mut source, &partial).and_then(|(actual, size)| {
            if actual != *expected {
                return Err(StorageError::DigestMismatch { expected: expected.clone(), actual });
            }
            fs::rename(&partial, &target).at(&target)?;
            Ok(size)
        });
        if stored.is_err() {
            // What was wrong is the error to report; a partial file that cannot be removed harms nobody.
            let _ = fs::remove_file(&partial);
        }
        stored
    }

    /// Makes a container repository that has nothing yet.
    pub fn make_repository(&self, path: &str) -> Result<(), StorageError> {
        let folder = self.repository_folder(path)?.join("_layers");
        fs::create_dir_all(&folder).at(&folder)
    }

    /// Takes over a file whose digest is known. The file is gone afterwards.
    pub(crate) fn adopt_blob(&self, file: &Path, digest: &Digest) -> Result<(), StorageError> {
        let target = self.blob_path(digest);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).at(folder)?;
        }
        fs::rename(file, &target).at(&target)
    }

    /// Lets a layer of the container repository be found by its SHA-512 too.
    pub(crate) fn name_layer_sha512(
        &self,
        path: &str,
        hex: &str,
        digest: &Digest,
    ) -> Result<(), StorageError> {
        write_link(&self.sha512_link(path, hex)?, digest)
    }

    /// Takes a config or layer from the container repository; its content stays.
    pub fn remove_layer(&self, path: &str, digest: &Digest) -> Result<(), StorageError> {
        let link = self.layer_link(path, digest)?;
        fs::remove_file(&link).at(&link)
    }

    /// Makes a stored blob a config or layer of the container repository.
    pub fn link_layer(&self, path: &str, digest: &Digest) -> Result<(), StorageError> {
        write_link(&self.layer_link(path, digest)?, digest)
    }

    /// Makes a stored blob a manifest of the container repository.
    pub fn link_manifest(&self, path: &str, digest: &Digest) -> Result<(), StorageError> {
        write_link(&self.revision_link(path, digest)?, digest)
    }

    /// Stores a manifest with what it names, which must be in the storage already.
    ///
    /// # Errors
    /// [`StorageError::BlobUnknown`] when something it names is missing.
    pub fn put_manifest(&self, path: &str, content: &[u8]) -> Result<Digest, StorageError> {
        let manifest = Manifest::parse(content)?;
        for named in manifest.blobs.iter().filter(|blob| !blob.is_foreign()).chain(&manifest.manifests) {
            if self.blob_size(&named.digest)?.is_none() {
                return Err(StorageError::BlobUnknown(named.digest.clone()));
            }
        }
        let digest = self.put_blob(content)?;
        self.link_manifest(path, &digest)?;
        Ok(digest)
    }

    /// Stores any bytes as a manifest: no manifest at all, one of a kind that is not known, one that names what is not
    /// there.
    pub fn put_any_manifest(&self, path: &str, content: &[u8]) -> Result<Digest, StorageError> {
        let digest = self.put_blob(content)?;
        self.link_manifest(path, &digest)?;
        Ok(digest)
    }

    /// Lets `tag` name the manifest from now on.
    pub fn put_tag(&self, path: &str, tag: &str, digest: &Digest) -> Result<(), StorageError> {
        let folder = self.tag_folder(path, tag)?;
        write_link(&folder.join("index/sha256").join(digest.hex()).join("link"), digest)?;
        write_link(&folder.join("current/link"), digest)
    }

    /// Removes a tag; its manifest stays.
    pub fn remove_tag(&self, path: &str, tag: &str) -> Result<(), StorageError> {
        let folder = self.tag_folder(path, tag)?;
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.at(&folder),
        }
    }

    /// Removes a manifest from the container repository; its content stays.
    pub fn remove_manifest(&self, path: &str, digest: &Digest) -> Result<(), StorageError> {
        let link = self.revision_link(path, digest)?;
        fs::remove_file(&link).at(&link)
    }
}

fn stream(source: &mut impl Read, target: &Path) -> Result<(Digest, u64), StorageError> {
    let mut file = File::create(target).at(target)?;
    let mut hasher = Hasher::default();
    let mut piece = vec![0; PIECE_BYTES];
    let mut size = 0;
    loop {
        let read = source.read(&mut piece).at(target)?;
        if read == 0 {
            return Ok((hasher.finish(), size));
        }
        hasher.update(&piece[..read]);
        file.write_all(&piece[..read]).at(target)?;
        size += read as u64;
    }
}

fn write_link(path: &Path, digest: &Digest) -> Result<(), StorageError> {
    write_whole(path, digest.to_string().as_bytes())
}

fn write_whole(path: &Path, content: &[u8]) -> Result<(), StorageError> {
    let partial = partial_path(path)?;
    fs::write(&partial, content).at(&partial)?;
    fs::rename(&partial, path).at(path)
}

/// A name beside `target` that nobody else uses: two imports may copy the same blob at once.
fn partial_path(target: &Path) -> Result<PathBuf, StorageError> {
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).at(folder)?;
    }
    Ok(target.with_extension(format!("{}.partial", uuid::Uuid::new_v4().simple())))
}
