//! Manifests that were read from the source, kept so that each is read once.

use std::{
    collections::{BTreeMap, VecDeque},
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use oci::{Digest, Manifest};

/// Keeps manifests by digest. It may lose any: what it lacks is read from the source again.
#[async_trait]
pub trait ManifestCache: Send + Sync {
    /// The manifest, whose bytes are the digest's.
    async fn get(&self, digest: &Digest) -> Option<Manifest>;
    /// Keeps one.
    async fn put(&self, manifest: &Manifest);
}

/// How many bytes of manifests a process keeps in memory.
const IN_MEMORY: usize = 8 << 20;

/// Keeps the newest in memory, up to 8 MiB.
#[derive(Default)]
pub struct MemoryCache {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    manifests: BTreeMap<Digest, Manifest>,
    order: VecDeque<Digest>,
    bytes: usize,
}

#[async_trait]
impl ManifestCache for MemoryCache {
    async fn get(&self, digest: &Digest) -> Option<Manifest> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).manifests.get(digest).cloned()
    }

    async fn put(&self, manifest: &Manifest) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.manifests.insert(manifest.digest().clone(), manifest.clone()).is_some() {
            return;
        }
        kept.order.push_back(manifest.digest().clone());
        kept.bytes += manifest.bytes().len();
        while kept.bytes > IN_MEMORY {
            let Some(oldest) = kept.order.pop_front() else { return };
            if let Some(manifest) = kept.manifests.remove(&oldest) {
                kept.bytes -= manifest.bytes().len();
            }
        }
    }
}

/// Keeps them as files of a folder, by digest, from one process to the next.
pub struct FolderCache {
    folder: PathBuf,
}

impl FolderCache {
    /// In this folder, which is made where it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }

    fn file(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.folder.join(hex.get(..2).unwrap_or("00")).join(hex)
    }

    /// Whole or not at all: whoever finds the file finds all of it.
    fn write(&self, manifest: &Manifest) -> io::Result<()> {
        let file = self.file(manifest.digest());
        if file.exists() {
            return Ok(());
        }
        let folder = file.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder)?;
        let mut content = manifest.media_type().as_bytes().to_vec();
        content.push(b'\n');
        content.extend_from_slice(manifest.bytes());
        let begun = folder.join(format!(".{}", uuid::Uuid::new_v4()));
        fs::write(&begun, content)?;
        fs::rename(&begun, file)
    }
}

#[async_trait]
impl ManifestCache for FolderCache {
    async fn get(&self, digest: &Digest) -> Option<Manifest> {
        let content = Bytes::from(fs::read(self.file(digest)).ok()?);
        let end = content.iter().position(|byte| *byte == b'\n')?;
        let media_type = std::str::from_utf8(&content[..end]).ok()?.to_owned();
        // A file that was damaged is none.
        Manifest::named(content.slice(end + 1..), media_type, digest).ok()
    }

    async fn put(&self, manifest: &Manifest) {
        if let Err(error) = self.write(manifest) {
            tracing::debug!(%error, "a manifest is not kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bytes::Bytes;
    use oci::Manifest;

    use super::{FolderCache, ManifestCache, MemoryCache};

    fn manifest(bytes: Vec<u8>) -> Manifest {
        Manifest::new(Bytes::from(bytes), "application/vnd.oci.image.manifest.v1+json".to_owned())
    }

    #[tokio::test]
    async fn a_folder_gives_back_what_it_was_given_or_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let given = manifest(b"{\n \"a\": 1}".to_vec());
        FolderCache::open(folder.path()).unwrap().put(&given).await;
        let cache = FolderCache::open(folder.path()).unwrap();
        let found = cache.get(given.digest()).await.unwrap();
        assert_eq!((found.bytes(), found.media_type()), (given.bytes(), given.media_type()));
        let file = cache.file(given.digest());
        let mut content = fs::read(&file).unwrap();
        *content.last_mut().unwrap() ^= 1;
        fs::write(&file, content).unwrap();
        assert!(cache.get(given.digest()).await.is_none(), "damaged");
    }

    #[tokio::test]
    async fn memory_keeps_the_newest_up_to_its_bound() {
        let cache = MemoryCache::default();
        let given: Vec<Manifest> = (0..5_u8).map(|fill| manifest(vec![fill; 2 << 20])).collect();
        for manifest in &given {
            cache.put(manifest).await;
            cache.put(manifest).await;
        }
        assert!(cache.get(given[0].digest()).await.is_none());
        assert!(cache.get(given[1].digest()).await.is_some());
        assert!(cache.get(given[4].digest()).await.is_some());
    }
}
