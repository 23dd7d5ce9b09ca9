//! Proving that a container repository arrived whole.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use serde::Serialize;

use super::error::At;
use super::{Item, Plan, Storage, StorageError};
use crate::digest::{Digest, Hasher};

/// What was compared, all of it equal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Tags naming the same manifest in both.
    pub tags: usize,
    /// Manifests, configs and layers equal byte for byte.
    pub digests: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Compares the container repository `path` in two storages: every manifest of `old`, everything those name, and
/// every tag must be in `new`, linked to the repository there, and equal byte for byte; what is read must have
/// the digest it stands under.
///
/// # Errors
/// [`StorageError::Differs`] with the first difference.
pub fn verify(old: &Storage, new: &Storage, path: &str) -> Result<Verified, StorageError> {
    let differs = |what: String| StorageError::Differs { repository: path.to_owned(), what };
    if !old.holds(path) {
        return Err(differs("not on the old storage".to_owned()));
    }
    let plan = Plan::of(old, path)?;
    let mut verified = Verified { tags: plan.tags.len(), ..Verified::default() };
    for item in &plan.items {
        let (digest, linked) = match item {
            Item::Layer(digest) => (digest, new.has_layer(path, digest)?),
            Item::Manifest(digest) => (digest, new.has_manifest(path, digest)?),
        };
        if !linked {
            return Err(differs(format!("{digest} is not in the new storage")));
        }
        verified.bytes += same_content(digest, &old.blob_path(digest), &new.blob_path(digest))?
            .ok_or_else(|| differs(format!("{digest} is not the same in both storages")))?;
        verified.digests += 1;
    }
    let tags = new.tags(path)?;
    if tags != plan.tags {
        return Err(differs(format!("its tags are {:?} and were {:?}", tags, plan.tags)));
    }
    Ok(verified)
}

/// The size of two files that are equal and have the digest they should have.
fn same_content(digest: &Digest, old: &Path, new: &Path) -> Result<Option<u64>, StorageError> {
    let mut old_file = BufReader::with_capacity(1 << 16, File::open(old).at(old)?);
    let mut new_file = BufReader::with_capacity(1 << 16, File::open(new).at(new)?);
    let mut hasher = Hasher::default();
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut size = 0;
    loop {
        let length = fill(&mut old_file, &mut left).at(old)?;
        if length != fill(&mut new_file, &mut right).at(new)? || left[..length] != right[..length] {
            return Ok(None);
        }
        if length == 0 {
            return Ok((hasher.finish() == *digest).then_some(size));
        }
        hasher.update(&left[..length]);
        size += length as u64;
    }
}

fn fill(file: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}
