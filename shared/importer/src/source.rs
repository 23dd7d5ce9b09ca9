//! Reads what the source has.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use oci::{Digest, Name, Profile, Reference, Tag};

use crate::{
    cause::{Cause, Failure, Side},
    importer::Inner,
    tree::{Node, Tree},
};

/// The source's tags.
pub(crate) async fn list(importer: &Inner, name: &Name) -> Result<BTreeSet<Tag>, Failure> {
    let tags = importer.source.tags(name, importer.patience()).await;
    let tags = tags.map_err(|error| match error.cause {
        oci::Cause::NotFound => Failure::of_all(Cause::NotFound, format!("source: {error}")),
        _ => Failure { whole: true, ..Failure::of(Side::Source, &error) },
    })?;
    Ok(tags.items.into_iter().collect())
}

/// What one tag leads to.
enum TagRead {
    Leads(Digest, Option<Node>),
    /// It was deleted since it was listed.
    Gone,
    Failed(Failure),
}

/// Finds what each of these tags leads to now, and puts that into the tree in place of what was known. `known`: what a tag
/// led to before; such a tag is asked for by HEAD, any other by GET, unless `by_head`.
pub(crate) async fn resolve(
    importer: &Inner,
    name: &Name,
    list: BTreeSet<Tag>,
    by_head: bool,
    tree: &mut Tree,
) -> Result<(), Failure> {
    let known = &*tree;
    let reads: Vec<(Tag, TagRead)> = stream::iter(list)
        .map(|tag| async move {
            let read = if by_head || known.tags.contains_key(&tag) {
                head(importer, name, &tag).await
            } else {
                get(importer, name, &tag).await
            };
            match read {
                Ok(read) => Ok((tag, read)),
                Err(failure) if failure.whole => Err(failure),
                Err(failure) => Ok((tag, TagRead::Failed(failure))),
            }
        })
        .buffer_unordered(importer.tuning.in_flight)
        .try_collect()
        .await?;
    tree.tags = BTreeMap::new();
    tree.unread = BTreeMap::new();
    for (tag, read) in reads {
        match read {
            TagRead::Leads(digest, node) => {
                if let Some(node) = node {
                    tree.nodes.insert(digest.clone(), node);
                }
                tree.tags.insert(tag, digest);
            }
            TagRead::Gone => {}
            TagRead::Failed(failure) => {
                tree.unread.insert(tag, failure);
            }
        }
    }
    Ok(())
}

async fn head(importer: &Inner, name: &Name, tag: &Tag) -> Result<TagRead, Failure> {
    let head = importer.source.head_manifest(name, &Reference::from(tag.clone()), importer.patience()).await;
    match head {
        Ok(head) => Ok(head.map_or(TagRead::Gone, |head| TagRead::Leads(head.digest, None))),
        Err(error) => Err(importer.failure_of_manifest(Side::Source, name, &error).await),
    }
}

async fn get(importer: &Inner, name: &Name, tag: &Tag) -> Result<TagRead, Failure> {
    let found = importer.source.get_manifest(name, &Reference::from(tag.clone()), importer.patience()).await;
    let manifest = match found {
        Ok(Some(manifest)) => manifest,
        Ok(None) => return Ok(TagRead::Gone),
        Err(error) => return Err(importer.failure_of_manifest(Side::Source, name, &error).await),
    };
    importer.cache.put(&manifest).await;
    Ok(TagRead::Leads(manifest.digest().clone(), Some(Node::of(&manifest))))
}

/// What the target is read to have, while the source's manifests are read.
pub(crate) struct Read<'a> {
    pub(crate) target: &'a Name,
    /// Manifests that it has, byte for byte.
    pub(crate) verified: &'a mut BTreeSet<Digest>,
}

/// Reads every manifest that is named and not read yet, down to the last, and what refers to each. `at_target`: the target is
/// asked first, since what it has under a digest proves it there, and need not be read from the source again.
pub(crate) async fn complete(
    importer: &Inner,
    name: &Name,
    tree: &mut Tree,
    mut at_target: Option<Read<'_>>,
) -> Result<(), Failure> {
    loop {
        referrers(importer, name, tree).await?;
        let unread = tree.unread_manifests();
        if unread.is_empty() {
            return foreign(importer, name, tree).await;
        }
        let target = at_target.as_ref().map(|read| read.target);
        let read: Vec<(Digest, Node, bool)> = stream::iter(unread)
            .map(|digest| async move {
                if let Some(target) = target
                    && let Some(node) = from_target(importer, target, &digest).await?
                {
                    return Ok((digest, node, true));
                }
                match importer.manifest(name, &digest).await {
                    Ok(manifest) => Ok((digest, Node::of(&manifest), false)),
                    Err(failure) if failure.whole => Err(failure),
                    Err(failure) => Ok((digest, Node::failed(failure), false)),
                }
            })
            .buffer_unordered(importer.tuning.in_flight)
            .try_collect()
            .await?;
        for (digest, node, verified) in read {
            if let (true, Some(at_target)) = (verified, &mut at_target) {
                at_target.verified.insert(digest.clone());
            }
            tree.nodes.insert(digest, node);
        }
    }
}

/// Asks for layers that may be kept elsewhere. Those that the source has are copied as any other.
async fn foreign(importer: &Inner, name: &Name, tree: &mut Tree) -> Result<(), Failure> {
    let foreign = tree.foreign();
    let found = blobs_there(importer, name, &foreign).await?;
    tree.has_foreign(&found.into_iter().filter_map(|(digest, size)| size.map(|_| digest)).collect());
    Ok(())
}

/// Asks the source for these blobs: how large each is there, as far as it says so. None: it lacks it.
pub(crate) async fn blobs_there(
    importer: &Inner,
    name: &Name,
    wanted: &BTreeMap<Digest, u64>,
) -> Result<BTreeMap<Digest, Option<u64>>, Failure> {
    stream::iter(wanted.clone())
        .map(|(digest, size)| async move {
            let head = importer.source.head_blob(name, &digest, importer.patience()).await;
            match head.map_err(|error| Failure::of(Side::Source, &error)) {
                Ok(head) => Ok((digest, head.map(|head| head.size.unwrap_or(size)))),
                Err(failure) if failure.whole => Err(failure),
                Err(_) => Ok((digest, None)),
            }
        })
        .buffer_unordered(importer.tuning.in_flight)
        .try_collect()
        .await
}

/// A manifest as the target has it, where nobody has kept it. None: it is kept, or the target lacks it or has it broken, which
/// its own reading finds.
async fn from_target(importer: &Inner, target: &Name, digest: &Digest) -> Result<Option<Node>, Failure> {
    if importer.cache.get(digest).await.is_some() {
        return Ok(None);
    }
    let reference = Reference::from(digest.clone());
    let found = importer.target.get_manifest(target, &reference, importer.patience()).await;
    match found.map_err(|error| Failure::of(Side::Target, &error)) {
        Ok(Some(manifest)) => {
            importer.cache.put(&manifest).await;
            Ok(Some(Node::of(&manifest)))
        }
        Ok(None) => Ok(None),
        Err(failure) if failure.whole => Err(failure),
        Err(_) => Ok(None),
    }
}

/// Asks for what refers to each manifest, where the source can tell. Neither distribution 2 nor 3 can: they have it under
/// tags.
async fn referrers(importer: &Inner, name: &Name, tree: &mut Tree) -> Result<(), Failure> {
    if matches!(importer.source.profile(), Profile::Distribution2 | Profile::Distribution3) {
        return Ok(());
    }
    let unasked: Vec<Digest> =
        tree.nodes.keys().filter(|digest| !tree.referrers.contains_key(*digest)).cloned().collect();
    for digest in unasked {
        let found = importer.source.referrers(name, &digest, importer.patience()).await;
        match found.map_err(|error| Failure::of(Side::Source, &error)) {
            Ok(Some(descriptors)) => {
                tree.referrers.insert(digest, descriptors);
            }
            // It has no such list.
            Ok(None) => return Ok(()),
            Err(failure) if failure.whole => return Err(failure),
            Err(_) => {
                tree.referrers.insert(digest, Vec::new());
            }
        }
    }
    Ok(())
}

/// The target's tags; none where it has no such repository.
pub(crate) async fn target_tags(importer: &Inner, name: &Name) -> Result<BTreeSet<Tag>, Failure> {
    match importer.target.tags(name, importer.patience()).await {
        Ok(tags) => Ok(tags.items.into_iter().collect()),
        Err(error) if error.cause == oci::Cause::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(Failure { whole: true, ..Failure::of(Side::Target, &error) }),
    }
}
