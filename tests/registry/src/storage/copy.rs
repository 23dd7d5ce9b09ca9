//! Copying one container repository from storage to storage, item by item.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;

use super::error::At;
use super::{Manifest, Storage, StorageError};
use crate::digest::Digest;

/// One thing to copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A config or a layer.
    Layer(Digest),
    /// A manifest. Everything it names comes before it.
    Manifest(Digest),
}

/// Everything a container repository consists of, in the order in which it is to be copied: what is named
/// before what names it, and the tags after all of it, so that a tag never names something that is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Layers, configs and manifests.
    pub items: Vec<Item>,
    /// The tags and what they name.
    pub tags: BTreeMap<String, Digest>,
}

impl Plan {
    /// Reads what the container repository `path` consists of: all its manifests, tagged or not, and all that
    /// they name.
    pub fn of(storage: &Storage, path: &str) -> Result<Self, StorageError> {
        let mut reading = Reading { storage, lenient: false, plan: Self::default(), read: BTreeMap::new() };
        reading.read(path)?;
        Ok(reading.plan)
    }

    /// What an import takes of it: an image whose config is not in the storage is left out, with the tags that name
    /// it and without a word, as the real registry does.
    pub fn of_import(storage: &Storage, path: &str) -> Result<Self, StorageError> {
        let mut reading = Reading { storage, lenient: true, plan: Self::default(), read: BTreeMap::new() };
        reading.read(path)?;
        Ok(reading.plan)
    }
}

/// A plan that is being made.
struct Reading<'a> {
    storage: &'a Storage,
    /// Images without their config are left out.
    lenient: bool,
    plan: Plan,
    /// What has been read, and whether it is in the plan.
    read: BTreeMap<Digest, bool>,
}

impl Reading<'_> {
    fn read(&mut self, path: &str) -> Result<(), StorageError> {
        for (tag, digest) in self.storage.tags(path)? {
            if self.add_manifest(&digest)? {
                self.plan.tags.insert(tag, digest);
            }
        }
        for digest in self.storage.revisions(path)? {
            self.add_manifest(&digest)?;
        }
        Ok(())
    }

    /// Adds a manifest after all that it names. False when it is left out.
    fn add_manifest(&mut self, digest: &Digest) -> Result<bool, StorageError> {
        if let Some(taken) = self.read.get(digest) {
            return Ok(*taken);
        }
        let manifest = Manifest::parse(&self.storage.read_blob(digest)?)?;
        if let (true, Some(config)) = (self.lenient, &manifest.config)
            && self.storage.blob_size(config)?.is_none()
        {
            self.read.insert(digest.clone(), false);
            return Ok(false);
        }
        for blob in manifest.blobs {
            let absent = blob.is_foreign() && self.storage.blob_size(&blob.digest)?.is_none();
            if !absent && self.read.insert(blob.digest.clone(), true).is_none() {
                self.plan.items.push(Item::Layer(blob.digest));
            }
        }
        // An index cannot name itself (it would have to hold its own digest), so this ends.
        for child in manifest.manifests {
            self.add_manifest(&child.digest)?;
        }
        self.read.insert(digest.clone(), true);
        self.plan.items.push(Item::Manifest(digest.clone()));
        Ok(true)
    }
}

impl Storage {
    /// Copies one item of the container repository `path` to the storage `to`, checking its digest on the way.
    /// What is there already is not copied again.
    pub fn copy_item(&self, to: &Storage, path: &str, item: &Item) -> Result<(), StorageError> {
        let (Item::Layer(digest) | Item::Manifest(digest)) = item;
        let size = self.blob_size(digest)?.ok_or_else(|| StorageError::BlobUnknown(digest.clone()))?;
        if to.blob_size(digest)? != Some(size) {
            let source = self.blob_path(digest);
            let file = match File::open(&source) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Err(StorageError::BlobUnknown(digest.clone()));
                }
                opened => opened.at(&source)?,
            };
            to.put_blob_from(file, digest)?;
        }
        match item {
            Item::Layer(_) => to.link_layer(path, digest),
            Item::Manifest(_) => to.link_manifest(path, digest),
        }
    }

    /// Makes the tags of the container repository `path` exactly `tags`.
    pub fn replace_tags(&self, path: &str, tags: &BTreeMap<String, Digest>) -> Result<(), StorageError> {
        for (tag, digest) in tags {
            self.put_tag(path, tag, digest)?;
        }
        for tag in self.tags(path)?.keys().filter(|tag| !tags.contains_key(*tag)) {
            self.remove_tag(path, tag)?;
        }
        Ok(())
    }
}
