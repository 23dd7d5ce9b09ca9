//! What a registry keeps: its storage, the blobs that lie in no file, and the uploads that are open.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use serde::Serialize;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use super::made_up::{MadeUp, Register, Unkept};
use crate::digest::{Digest, Hasher, sha512_of};
use crate::lock::lock;
use crate::storage::{Storage, StorageError};

/// An upload that was begun and neither ended nor canceled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenUpload {
    /// The container repository.
    pub repository: String,
    /// Its id.
    pub id: String,
    /// The bytes that it holds.
    pub bytes: u64,
}

#[derive(Debug)]
pub(super) struct Store {
    pub storage: Storage,
    pub unkept: Register,
    uploads: Mutex<BTreeMap<String, Arc<Mutex<Upload>>>>,
}

/// Bytes on their way to be a blob.
pub(super) struct Upload {
    pub repository: String,
    pub bytes: u64,
    hasher: Hasher,
    /// `None` where they are hashed and dropped.
    file: Option<PathBuf>,
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// A digest that a client names: of blobs also SHA-512.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    Sha256(Digest),
    /// The 128 hexadecimal digits.
    Sha512(String),
}

impl Named {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Ok(digest) = text.parse() {
            return Some(Self::Sha256(digest));
        }
        let hex = text.strip_prefix("sha512:")?;
        let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (hex.len() == 128 && hex.bytes().all(lower_hex)).then(|| Self::Sha512(hex.to_owned()))
    }
}

/// What a blob is read from.
#[derive(Debug)]
pub(super) enum Content {
    File(PathBuf, u64),
    MadeUp(MadeUp),
    /// It was hashed and dropped, and nobody knows a seed.
    Dropped(u64),
}

impl Content {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::File(_, size) | Self::Dropped(size) => *size,
            Self::MadeUp(made_up) => made_up.bytes,
        }
    }

    /// The bytes from `from` to before `to`.
    pub(super) async fn body(self, from: u64, to: u64) -> io::Result<Body> {
        match self {
            Self::File(path, _) => {
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(from))?;
                let part = tokio::fs::File::from_std(file).take(to - from);
                Ok(Body::from_stream(ReaderStream::with_capacity(part, 64 << 10)))
            }
            Self::MadeUp(made_up) => Ok(Body::from_stream(made_up.stream(from, to))),
            Self::Dropped(_) => Err(io::Error::other("the blob was hashed and dropped")),
        }
    }
}

impl Store {
    pub(super) fn open(storage: Storage) -> io::Result<Self> {
        fs::create_dir_all(storage.root())?;
        Ok(Self { unkept: Register::open(storage.root())?, storage, uploads: Mutex::default() })
    }

    /// What holds the bytes of a digest, whatever container repository it belongs to.
    pub(super) fn content(&self, digest: &Digest) -> Result<Option<Content>, StorageError> {
        if let Some(size) = self.storage.blob_size(digest)? {
            return Ok(Some(Content::File(self.storage.blob_path(digest), size)));
        }
        Ok(self.unkept.get(digest).map(|blob| match blob.seed {
            Some(seed) => Content::MadeUp(MadeUp { seed, bytes: blob.bytes }),
            None => Content::Dropped(blob.bytes),
        }))
    }

    /// The canonical digest of a blob of the container repository, if it has it.
    pub(super) fn blob_of(&self, repository: &str, named: &Named) -> Result<Option<Digest>, StorageError> {
        let digest = match named {
            Named::Sha256(digest) => self.storage.has_layer(repository, digest)?.then(|| digest.clone()),
            Named::Sha512(hex) => self.storage.layer_named_sha512(repository, hex)?,
        };
        match digest {
            Some(digest) if self.content(&digest)?.is_some() => Ok(Some(digest)),
            Some(_) | None => Ok(None),
        }
    }

    /// The digest of a blob that is made up; its bytes can be read wherever it is a layer.
    pub(super) fn know_made_up(&self, made_up: MadeUp) -> Result<Digest, StorageError> {
        let io = |source| StorageError::Io { path: self.storage.root().to_owned(), source };
        self.unkept.digest_of(made_up).map_err(io)
    }

    /// The same, and makes it a layer of the container repository.
    pub(super) fn add_made_up(&self, repository: &str, made_up: MadeUp) -> Result<Digest, StorageError> {
        let digest = self.know_made_up(made_up)?;
        self.storage.link_layer(repository, &digest)?;
        Ok(digest)
    }

    pub(super) fn begin_upload(&self, repository: &str) -> Result<String, StorageError> {
        let id = Uuid::new_v4().to_string();
        let file = self.storage.upload_path(repository, &id)?;
        let io = |source| StorageError::Io { path: file.clone(), source };
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).map_err(io)?;
        }
        File::create(&file).map_err(io)?;
        let upload = Upload {
            repository: repository.to_owned(),
            bytes: 0,
            hasher: Hasher::default(),
            file: Some(file),
        };
        lock(&self.uploads).insert(id.clone(), Arc::new(Mutex::new(upload)));
        Ok(id)
    }

    pub(super) fn upload(&self, repository: &str, id: &str) -> Option<Arc<Mutex<Upload>>> {
        let upload = lock(&self.uploads).get(id).cloned()?;
        let same = lock(&upload).repository == repository;
        same.then_some(upload)
    }

    pub(super) fn open_uploads(&self) -> Vec<OpenUpload> {
        let uploads = lock(&self.uploads);
        let open = uploads.iter().map(|(id, upload)| {
            let upload = lock(upload);
            OpenUpload { repository: upload.repository.clone(), id: id.clone(), bytes: upload.bytes }
        });
        open.collect()
    }

    /// Makes an upload a blob of its container repository. `None` when its bytes have another digest: it stays open.
    pub(super) fn finish_upload(&self, id: &str, named: &Named) -> Result<Option<Digest>, StorageError> {
        let Some(upload) = lock(&self.uploads).get(id).cloned() else { return Ok(None) };
        let upload = lock(&upload);
        let digest = upload.hasher.clone().finish();
        let same = match (named, &upload.file) {
            (Named::Sha256(named), _) => *named == digest,
            (Named::Sha512(hex), Some(file)) => {
                *hex == sha512_of(file).map_err(|source| StorageError::Io { path: file.clone(), source })?
            }
            // What is dropped is hashed in one way only.
            (Named::Sha512(_), None) => false,
        };
        if !same {
            return Ok(None);
        }
        match &upload.file {
            Some(file) => self.storage.adopt_blob(file, &digest)?,
            None => {
                let io = |source| StorageError::Io { path: self.storage.root().to_owned(), source };
                self.unkept.insert(&digest, Unkept { bytes: upload.bytes, seed: None }).map_err(io)?;
            }
        }
        self.storage.link_layer(&upload.repository, &digest)?;
        if let Named::Sha512(hex) = named {
            self.storage.name_layer_sha512(&upload.repository, hex, &digest)?;
        }
        drop(upload);
        self.discard_upload(id);
        Ok(Some(digest))
    }

    pub(super) fn discard_upload(&self, id: &str) {
        let Some(upload) = lock(&self.uploads).remove(id) else { return };
        let upload = lock(&upload);
        if let Ok(path) = self.storage.upload_path(&upload.repository, id)
            && let Some(folder) = path.parent()
        {
            // A folder that is left behind harms nobody.
            let _ = fs::remove_dir_all(folder);
        }
    }
}

impl Upload {
    /// Adds bytes, all of them or none. More than `keep_at_most` in all are hashed and dropped.
    pub(super) fn append(&mut self, bytes: &Bytes, keep_at_most: Option<u64>) -> io::Result<()> {
        let after = self.bytes + bytes.len() as u64;
        if keep_at_most.is_some_and(|most| after > most)
            && let Some(file) = self.file.take()
        {
            fs::write(file, b"")?;
        }
        if let Some(file) = &self.file {
            OpenOptions::new().append(true).open(file)?.write_all(bytes)?;
        }
        self.hasher.update(bytes);
        self.bytes = after;
        Ok(())
    }
}
