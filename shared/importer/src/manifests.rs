//! Writes manifests by digest, whatever they name before them.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use oci::{Digest, Name, Reference};

use crate::{
    blobs::{self, Ask},
    cause::{Failure, Side},
    importer::Inner,
    job::{End, Job},
    tree::Tree,
};

/// Asks the target which of these manifests it has, and remembers those in the tree.
pub(crate) async fn ask(
    importer: &Inner,
    target: &Name,
    tree: &mut Tree,
    wanted: &BTreeSet<Digest>,
) -> Result<(), Failure> {
    let unknown: Vec<Digest> = wanted.difference(&tree.there).cloned().collect();
    let found: Vec<Option<Digest>> = stream::iter(unknown)
        .map(|digest| async move {
            let reference = Reference::from(digest.clone());
            let head = importer.target.head_manifest(target, &reference, importer.patience()).await;
            match head.map_err(|error| Failure::of(Side::Target, &error)) {
                Ok(head) => Ok(head.filter(|head| head.digest == digest).map(|_| digest)),
                Err(failure) if failure.whole => Err(failure),
                // What it cannot read is written again.
                Err(_) => Ok(None),
            }
        })
        .buffer_unordered(importer.tuning.in_flight)
        .try_collect()
        .await?;
    tree.there.extend(found.into_iter().flatten());
    Ok(())
}

/// Writes these manifests, and remembers them in the tree. `failed` holds what failed so far, and is given what fails here.
pub(crate) async fn put(
    job: &Job,
    tree: &mut Tree,
    wanted: &BTreeSet<Digest>,
    failed: &mut BTreeMap<Digest, Failure>,
) -> Result<(), End> {
    for level in tree.levels(wanted) {
        let (known, before) = (&*tree, &*failed);
        let written: Vec<(Digest, Option<Failure>)> = stream::iter(level)
            .map(|digest| async move {
                job.check()?;
                let failure = match known.failure_of(&digest, before) {
                    Some(failure) => Some(failure),
                    None => match put_one(job, known, &digest).await {
                        Ok(()) => None,
                        Err(End::Failed(failure)) if !failure.whole => Some(known.refused(&digest, failure)),
                        Err(end) => return Err(end),
                    },
                };
                Ok::<_, End>((digest, failure))
            })
            .buffer_unordered(job.importer.tuning.in_flight)
            .try_collect()
            .await?;
        for (digest, failure) in written {
            match failure {
                None => {
                    tree.written.insert(digest.clone());
                    tree.there.insert(digest);
                }
                Some(failure) => {
                    failed.insert(digest, failure);
                }
            }
        }
    }
    Ok(())
}

async fn put_one(job: &Job, tree: &Tree, digest: &Digest) -> Result<(), End> {
    let is_whole = tree.nodes.get(digest).is_some_and(|node| node.foreign.is_empty());
    match send(job, digest).await {
        Err(error) if error.cause == oci::Cause::BlobUnknown && is_whole => {
            // The target lacks what it said it has: that is sent without asking, once.
            push_named(job, tree, digest).await?;
            send(job, digest).await
        }
        sent => sent,
    }
    .map_err(|error| error.failure)?;
    job.done(|progress| progress.manifests_done += 1);
    Ok(())
}

/// What a registry objects to, and what that means.
struct Refused {
    cause: oci::Cause,
    failure: Failure,
}

async fn send(job: &Job, digest: &Digest) -> Result<(), Refused> {
    let importer = &job.importer;
    let manifest = importer.manifest(&job.source, digest).await;
    let manifest = manifest.map_err(|failure| Refused { cause: oci::Cause::NotFound, failure })?;
    let reference = Reference::from(digest.clone());
    let written = importer.target.put_manifest(&job.target, &reference, &manifest, importer.patience()).await;
    match written {
        Ok(_) => Ok(()),
        Err(error) => {
            let failure = importer.failure_of_manifest(Side::Target, &job.target, &error).await;
            Err(Refused { cause: error.cause, failure })
        }
    }
}

/// Sends what a manifest names, down to the blobs.
async fn push_named(job: &Job, tree: &Tree, digest: &Digest) -> Result<(), End> {
    let Some(node) = tree.nodes.get(digest) else { return Ok(()) };
    tracing::info!(target = %job.target, %digest, "the target lacks what it said it has: it is sent again");
    let gone: Vec<String> = node.blobs.keys().map(ToString::to_string).collect();
    if !gone.is_empty() {
        let copies = &job.importer.copies;
        copies.note_blobs(job.claimant(), &[], &gone, crate::importer::database()).await?;
        let failed = blobs::copy(job, node.blobs.clone(), Ask::Distrust).await?;
        if let Some(failure) = failed.into_values().next() {
            return Err(failure.into());
        }
    }
    for child in &node.children {
        match send(job, child).await {
            Err(error) if error.cause == oci::Cause::BlobUnknown => {
                Box::pin(push_named(job, tree, child)).await?;
                send(job, child).await
            }
            sent => sent,
        }
        .map_err(|error| error.failure)?;
    }
    Ok(())
}
