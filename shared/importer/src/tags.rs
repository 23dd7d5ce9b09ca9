//! Writes tags, and reads back what the target has under them.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use oci::{Digest, Manifest, Reference, Tag, index_of, merge_indexes};

use crate::{
    cause::{Cause, Failure, Side},
    job::{End, Job},
    tree::Tree,
};

/// How many tags are written before the lease is renewed.
const BATCH: usize = 20;

/// What the target has under a tag.
pub(crate) type Found = Result<Option<Digest>, Failure>;

/// Reads these tags at the target. The first of those that should lead to a manifest which is not in `verified` is read
/// whole, which proves the manifest's bytes; the others are asked for by HEAD.
pub(crate) async fn read(
    job: &Job,
    tags: &BTreeMap<Tag, Digest>,
    verified: &mut BTreeSet<Digest>,
) -> Result<BTreeMap<Tag, Found>, End> {
    let mut proves: BTreeSet<&Digest> = BTreeSet::new();
    let reads: Vec<(Tag, bool)> = tags
        .iter()
        .map(|(tag, digest)| (tag.clone(), !verified.contains(digest) && proves.insert(digest)))
        .collect();
    let found: Vec<(Tag, Found, bool)> = stream::iter(reads)
        .map(|(tag, whole)| async move {
            job.check()?;
            let importer = &job.importer;
            let reference = Reference::from(tag.clone());
            let found = if whole {
                let got = importer.target.get_manifest(&job.target, &reference, importer.patience()).await;
                match got {
                    Ok(Some(manifest)) => {
                        // What the target has under a digest need not be read from the source.
                        importer.cache.put(&manifest).await;
                        Ok(Some(manifest.digest().clone()))
                    }
                    got => got.map(|_| None),
                }
            } else {
                let head = importer.target.head_manifest(&job.target, &reference, importer.patience()).await;
                head.map(|head| head.map(|head| head.digest))
            };
            let found = match found {
                Ok(found) => Ok(found),
                Err(error) => Err(importer.failure_of_manifest(Side::Target, &job.target, &error).await),
            };
            match found {
                Err(failure) if failure.whole => Err(End::Failed(failure)),
                found => Ok((tag, found, whole)),
            }
        })
        .buffer_unordered(job.importer.tuning.in_flight)
        .try_collect()
        .await?;
    for (_, found, whole) in &found {
        if let (Ok(Some(digest)), true) = (found, whole) {
            verified.insert(digest.clone());
        }
    }
    Ok(found.into_iter().map(|(tag, found, _)| (tag, found)).collect())
}

/// Reads these manifests at the target by their digests: those that it has are `verified` then. What it lacks, and what it
/// has with other bytes.
pub(crate) async fn read_manifests(
    job: &Job,
    wanted: Vec<Digest>,
    verified: &mut BTreeSet<Digest>,
) -> Result<(BTreeSet<Digest>, BTreeMap<Digest, Failure>), End> {
    let read: Vec<(Digest, Found)> = stream::iter(wanted)
        .map(|digest| async move {
            job.check()?;
            let importer = &job.importer;
            let reference = Reference::from(digest.clone());
            match importer.target.get_manifest(&job.target, &reference, importer.patience()).await {
                Ok(manifest) => Ok((digest, Ok(manifest.map(|manifest| manifest.digest().clone())))),
                Err(error) => match importer.failure_of_manifest(Side::Target, &job.target, &error).await {
                    failure if failure.whole => Err(End::Failed(failure)),
                    failure => Ok((digest, Err(failure))),
                },
            }
        })
        .buffer_unordered(job.importer.tuning.in_flight)
        .try_collect()
        .await?;
    let (mut missing, mut broken) = (BTreeSet::new(), BTreeMap::new());
    for (digest, found) in read {
        match found {
            Ok(Some(_)) => {
                verified.insert(digest);
            }
            Ok(None) => {
                missing.insert(digest);
            }
            Err(failure) => {
                broken.insert(digest, failure);
            }
        }
    }
    Ok((missing, broken))
}

/// Writes tags in batches, the lease renewed before each: whoever lost it writes no further one. Those that failed.
pub(crate) async fn write(job: &Job, tags: &BTreeMap<Tag, Digest>) -> Result<BTreeMap<Tag, Failure>, End> {
    let all: Vec<(Tag, Digest)> = tags.iter().map(|(tag, digest)| (tag.clone(), digest.clone())).collect();
    let mut failed = BTreeMap::new();
    for batch in all.chunks(BATCH) {
        job.check()?;
        job.renew().await?;
        let written: Vec<(Tag, Result<(), Failure>)> = stream::iter(batch.to_vec())
            .map(|(tag, digest)| async move {
                let manifest = job.importer.manifest(&job.source, &digest).await;
                let written = match manifest {
                    Ok(manifest) => write_one(job, &tag, &manifest).await,
                    Err(failure) => Err(failure),
                };
                match written {
                    Err(failure) if failure.whole => Err(End::Failed(failure)),
                    written => Ok((tag, written)),
                }
            })
            .buffer_unordered(job.importer.tuning.in_flight)
            .try_collect()
            .await?;
        for (tag, written) in written {
            if let Err(failure) = written {
                failed.insert(tag, failure);
            }
        }
    }
    Ok(failed)
}

async fn write_one(job: &Job, tag: &Tag, manifest: &Manifest) -> Result<(), Failure> {
    let importer = &job.importer;
    let reference = Reference::from(tag.clone());
    let written = importer.target.put_manifest(&job.target, &reference, manifest, importer.patience()).await;
    match written {
        Ok(_) => Ok(()),
        Err(error) => Err(importer.failure_of_manifest(Side::Target, &job.target, &error).await),
    }
}

/// What became of tags that are to be removed.
#[derive(Default)]
pub(crate) struct Removed {
    /// What the target has under those that it still has.
    pub(crate) stay: BTreeMap<Tag, Digest>,
    pub(crate) failed: BTreeMap<Tag, Failure>,
}

/// Removes tags of the target in batches, as they are written: those that lead where they were written to. Whoever wrote
/// there since keeps what he wrote.
pub(crate) async fn remove(job: &Job, wrote: &BTreeMap<Tag, Digest>) -> Result<Removed, End> {
    let all: Vec<(Tag, Digest)> = wrote.iter().map(|(tag, digest)| (tag.clone(), digest.clone())).collect();
    let mut removed = Removed::default();
    for batch in all.chunks(BATCH) {
        job.check()?;
        job.renew().await?;
        for (tag, digest) in batch {
            match remove_one(job, tag, digest).await {
                Ok(Some(other)) => {
                    removed.stay.insert(tag.clone(), other);
                }
                Ok(None) => tracing::info!(target = %job.target, tag = tag.as_str(), "a tag is removed"),
                Err(failure) if failure.whole => return Err(End::Failed(failure)),
                Err(failure) => {
                    removed.failed.insert(tag.clone(), failure);
                }
            }
        }
    }
    Ok(removed)
}

/// What the target has under the tag instead of what was written there. None: it has no such tag any more.
async fn remove_one(job: &Job, tag: &Tag, wrote: &Digest) -> Result<Option<Digest>, Failure> {
    let importer = &job.importer;
    let failed = |error: oci::Error| Failure::of(Side::Target, &error);
    let reference = Reference::from(tag.clone());
    let there = importer.target.head_manifest(&job.target, &reference, importer.patience()).await;
    match there.map_err(failed)? {
        Some(there) if there.digest == *wrote => {
            let deleted = importer.target.delete_tag(&job.target, tag, importer.patience()).await;
            deleted.map_err(|error| match error.cause {
                // That concerns removing alone.
                oci::Cause::Protocol => Failure::of_part(Cause::Refused, format!("target: {error}")),
                oci::Cause::Denied => Failure { whole: false, ..failed(error) },
                _ => failed(error),
            })?;
            Ok(None)
        }
        there => Ok(there.map(|there| there.digest)),
    }
}

/// Whether a tag is the list of what refers to a manifest, where the registry has no other.
pub(crate) fn is_fallback(tag: &Tag) -> bool {
    tag.subject().is_some_and(|subject| subject.fallback_tag() == *tag)
}

/// Writes a list of referrers over another that the target has: what that has stays in it. What it leads to then; None:
/// the source's list has all of it, and can be written as it is.
pub(crate) async fn merge(job: &Job, tag: &Tag, of: &Digest) -> Result<Option<Digest>, End> {
    let importer = &job.importer;
    let reference = Reference::from(tag.clone());
    let there = importer.target.get_manifest(&job.target, &reference, importer.patience()).await;
    let Some(there) = there.map_err(|error| Failure::of(Side::Target, &error))? else { return Ok(None) };
    let ours = importer.manifest(&job.source, of).await?;
    let failed = |error: oci::Error| Failure::of(Side::Target, &error);
    let Some(merged) = merge_indexes(ours.bytes(), there.bytes()).map_err(failed)? else { return Ok(None) };
    let merged = Manifest::new(merged, ours.media_type().to_owned());
    job.renew().await?;
    write_one(job, tag, &merged).await?;
    Ok(Some(merged.digest().clone()))
}

/// Writes the lists of referrers that the source keeps without a tag, under the tags that a target without such lists has
/// for it. What each leads to.
pub(crate) async fn write_fallbacks(job: &Job, tree: &Tree) -> Result<BTreeMap<Tag, Digest>, End> {
    let importer = &job.importer;
    let mut written = BTreeMap::new();
    for (subject, referrers) in tree.referrers.iter().filter(|(_, referrers)| !referrers.is_empty()) {
        let tag = subject.fallback_tag();
        if tree.tags.contains_key(&tag) {
            continue;
        }
        let failed = |error: oci::Error| Failure::of(Side::Target, &error);
        if importer
            .target
            .referrers(&job.target, subject, importer.patience())
            .await
            .map_err(failed)?
            .is_some()
        {
            return Ok(written);
        }
        let mut list = index_of(referrers);
        let there = importer.target.fallback_index(&job.target, subject, importer.patience()).await;
        if let Some(there) = there.map_err(failed)? {
            let Some(merged) = merge_indexes(there.bytes(), &list).map_err(failed)? else {
                written.insert(tag, there.digest().clone());
                continue;
            };
            list = merged;
        }
        let list = Manifest::new(list, "application/vnd.oci.image.index.v1+json".to_owned());
        job.renew().await?;
        write_one(job, &tag, &list).await?;
        written.insert(tag, list.digest().clone());
    }
    Ok(written)
}

/// What all failures of a repository's tags come to. None: nothing failed.
pub(crate) fn summary(failed: &BTreeMap<Tag, Failure>, tags: usize) -> Option<Failure> {
    let mut counts: BTreeMap<Cause, usize> = BTreeMap::new();
    for failure in failed.values() {
        *counts.entry(failure.cause).or_default() += 1;
    }
    let (cause, _) = counts.into_iter().max_by_key(|(cause, count)| (*count, std::cmp::Reverse(*cause)))?;
    let (tag, failure) = failed.iter().find(|(_, failure)| failure.cause == cause)?;
    let of = failed.len();
    Some(Failure::of_all(cause, format!("{of} of {tags} tags, {}: {}", tag.as_str(), failure.said)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use oci::Tag;

    use super::{is_fallback, summary};
    use crate::cause::{Cause, Failure};

    #[test]
    fn names_the_cause_that_most_tags_have() {
        let failed: BTreeMap<Tag, Failure> =
            [("a", Cause::Quota), ("b", Cause::SourceBroken), ("c", Cause::SourceBroken)]
                .into_iter()
                .map(|(tag, cause)| (Tag::parse(tag).unwrap(), Failure::of_part(cause, cause.as_str())))
                .collect();
        let summary = summary(&failed, 7).unwrap();
        assert_eq!(
            (summary.cause, summary.said.as_str()),
            (Cause::SourceBroken, "3 of 7 tags, b: source_broken")
        );
        assert!(summary.whole && super::summary(&BTreeMap::new(), 7).is_none());
    }

    #[test]
    fn knows_a_list_of_referrers_by_its_tag() {
        let hex = "0".repeat(64);
        let is = |tag: &str| is_fallback(&Tag::parse(tag).unwrap());
        assert!(is(&format!("sha256-{hex}")));
        assert!(!is(&format!("sha256-{hex}.sig")) && !is("v1"));
    }
}
