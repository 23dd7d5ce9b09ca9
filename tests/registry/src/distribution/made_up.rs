//! Blobs whose bytes are made up when they are read.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::{collections::BTreeMap, fs};

use axum::body::Bytes;
use futures::stream::{self, Stream};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Hasher};
use crate::lock::lock;

/// Every piece is the same noise behind a head of its own, so that bytes in the wrong place are noticed.
const PIECE: u64 = 1 << 20;
const HEAD: usize = 16;

/// A blob of any size that takes no room: its bytes come from a seed. The same seed and size give the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeUp {
    /// What the bytes are made from.
    pub seed: u64,
    /// How many there are.
    pub bytes: u64,
}

impl MadeUp {
    /// Its digest. All bytes are made for it: about a second for each 500 MB.
    pub fn digest(self) -> Digest {
        let (noise, mut hasher) = (self.noise(), Hasher::default());
        let mut at = 0;
        while at < self.bytes {
            for part in self.parts(&noise, at, self.bytes) {
                hasher.update(&part);
                at += part.len() as u64;
            }
        }
        hasher.finish()
    }

    /// Its bytes from `from` to before `to`.
    pub(super) fn stream(self, from: u64, to: u64) -> impl Stream<Item = io::Result<Bytes>> + Send {
        let noise = self.noise();
        stream::unfold((from, Vec::new()), move |(mut at, mut parts)| {
            if parts.is_empty() && at < to {
                parts = self.parts(&noise, at, to);
                parts.reverse();
            }
            let part = parts.pop();
            at += part.as_ref().map_or(0, |part| part.len() as u64);
            std::future::ready(part.map(|part| (Ok(part), (at, parts))))
        })
    }

    fn noise(self) -> Bytes {
        let mut noise = vec![0; usize::try_from(PIECE).unwrap_or(usize::MAX)];
        StdRng::seed_from_u64(self.seed).fill(&mut noise[..]);
        noise.into()
    }

    /// What is left of the piece at `at`, at most up to `to`: the head and the noise, neither of them empty.
    fn parts(self, noise: &Bytes, at: u64, to: u64) -> Vec<Bytes> {
        let index = at / PIECE;
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(&index.to_le_bytes());
        head[8..].copy_from_slice(&self.seed.to_le_bytes());
        let first = usize::try_from(at % PIECE).unwrap_or(usize::MAX);
        let end = usize::try_from((to - index * PIECE).min(PIECE)).unwrap_or(usize::MAX);
        let mut parts = Vec::new();
        if first < HEAD {
            parts.push(Bytes::copy_from_slice(&head[first..end.min(HEAD)]));
        }
        if end > HEAD {
            parts.push(noise.slice(first.max(HEAD)..end));
        }
        parts
    }
}

/// A blob that lies in no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unkept {
    pub bytes: u64,
    /// Where its bytes can be made from; `None` when it was hashed and dropped.
    pub seed: Option<u64>,
}

/// The blobs of one storage that lie in no file, in a file beside it.
#[derive(Debug)]
pub(super) struct Register {
    path: PathBuf,
    blobs: Mutex<BTreeMap<Digest, Unkept>>,
}

impl Register {
    pub(super) fn open(storage: &Path) -> io::Result<Self> {
        let path = storage.join("unkept-blobs.json");
        let blobs = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => BTreeMap::new(),
            read => serde_json::from_slice(&read?)?,
        };
        Ok(Self { path, blobs: Mutex::new(blobs) })
    }

    pub(super) fn get(&self, digest: &Digest) -> Option<Unkept> {
        lock(&self.blobs).get(digest).copied()
    }

    /// The digest of a blob that is made up, computed once for each storage.
    pub(super) fn digest_of(&self, made_up: MadeUp) -> io::Result<Digest> {
        let wanted = Unkept { bytes: made_up.bytes, seed: Some(made_up.seed) };
        let known =
            lock(&self.blobs).iter().find(|(_, blob)| **blob == wanted).map(|(digest, _)| digest.clone());
        if let Some(digest) = known {
            return Ok(digest);
        }
        let digest = made_up.digest();
        self.insert(&digest, wanted)?;
        Ok(digest)
    }

    /// Where the bytes come from stays known when the same blob is sent and dropped.
    pub(super) fn insert(&self, digest: &Digest, blob: Unkept) -> io::Result<()> {
        let mut blobs = lock(&self.blobs);
        let entry = blobs.entry(digest.clone()).or_insert(blob);
        entry.seed = entry.seed.or(blob.seed);
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&self.path, serde_json::to_vec(&*blobs)?)
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    async fn read(made_up: MadeUp, from: u64, to: u64) -> Vec<u8> {
        let parts: Vec<Bytes> = made_up.stream(from, to).try_collect().await.unwrap();
        parts.concat()
    }

    #[tokio::test]
    async fn reads_the_same_bytes_from_any_offset() {
        let made_up = MadeUp { seed: 7, bytes: 2 * PIECE + 100 };
        let whole = read(made_up, 0, made_up.bytes).await;
        assert_eq!(whole.len() as u64, made_up.bytes);
        assert_eq!(Digest::of(&whole), made_up.digest());
        for (from, to) in
            [(0, 1), (3, 20), (PIECE - 1, PIECE + 1), (PIECE + 5, PIECE + 9), (PIECE, made_up.bytes)]
        {
            let part = read(made_up, from, to).await;
            assert_eq!(part, whole[from as usize..to as usize], "{from} to {to}");
        }
        assert_eq!(read(made_up, made_up.bytes, made_up.bytes).await, b"");
    }

    #[test]
    fn makes_other_bytes_from_another_seed() {
        let of = |seed| MadeUp { seed, bytes: 1000 }.digest();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
