//! The two steps of one repository.

use std::collections::{BTreeMap, BTreeSet};

use oci::{Digest, Tag};
use shared::store::importer::{ImportStep, TagRecord, TagState};

use crate::{
    blobs::{self, Ask},
    cause::{Cause, Failure},
    decide::Moved,
    importer::database,
    job::{End, Job},
    manifests, source, tags,
    tree::Tree,
};

/// Does a step. None: it is done; else why the repository failed, all that could be copied being copied.
pub(crate) async fn run(job: &Job, step: ImportStep) -> Result<Option<Failure>, End> {
    let mut tree = job.importer.take_tree(&job.holder.source).unwrap_or_default();
    let done = match step {
        ImportStep::Pre => pre(job, &mut tree).await,
        ImportStep::Final => last(job, &mut tree).await,
    };
    if step == ImportStep::Pre && matches!(done, Ok(None)) {
        job.importer.keep_tree(&job.holder.source, tree);
    }
    done
}

/// Copies what the source has now, but no tag.
async fn pre(job: &Job, tree: &mut Tree) -> Result<Option<Failure>, End> {
    let importer = &job.importer;
    if tree.tags.is_empty() {
        let list = source::list(importer, &job.source).await?;
        source::resolve(importer, &job.source, list, job.import.wrote, tree).await?;
        source::complete(importer, &job.source, tree, None).await?;
    }
    if tree.target_tags.is_none() {
        tree.target_tags = Some(source::target_tags(importer, &job.target).await?);
    }
    let empty = tree.target_tags.as_ref().is_some_and(BTreeSet::is_empty) && !job.import.wrote;
    let wanted = tree.reached();
    if !empty {
        job.check()?;
        manifests::ask(importer, &job.target, tree, &wanted).await?;
    }
    let failed = copy_missing(job, tree, &wanted, empty).await?;
    for (digest, failure) in &failed {
        tracing::info!(source = %job.source, %digest, cause = %failure.cause, "not copied so far");
    }
    Ok(None)
}

/// Copies those of the manifests that the target is not known to have, with their blobs. What failed.
async fn copy_missing(
    job: &Job,
    tree: &mut Tree,
    wanted: &BTreeSet<Digest>,
    empty: bool,
) -> Result<BTreeMap<Digest, Failure>, End> {
    let missing: BTreeSet<Digest> = wanted.difference(&tree.there).cloned().collect();
    let all = tree.blobs(wanted);
    let needed = tree.blobs(&missing);
    let (bytes, rest) = (all.values().sum::<u64>(), needed.values().sum::<u64>());
    job.known(|progress| {
        progress.tags_known = (tree.tags.len() + tree.unread.len()) as u64;
        progress.manifests_known = wanted.len() as u64;
        progress.manifests_done = (wanted.len() - missing.len()) as u64;
        progress.blobs_known = all.len() as u64;
        progress.blobs_done = all.len().saturating_sub(needed.len()) as u64;
        progress.bytes_known = bytes;
        progress.bytes_done = bytes.saturating_sub(rest);
    });
    if missing.is_empty() {
        return Ok(BTreeMap::new());
    }
    job.will_write().await?;
    let ask = if empty { Ask::Nothing } else { Ask::First };
    let mut failed = blobs::copy(job, needed, ask).await?;
    manifests::put(job, tree, &missing, &mut failed).await?;
    Ok(failed)
}

/// What is known of the tags while they are written.
#[derive(Default)]
struct Proof {
    /// Manifests that the target was read to have, byte for byte.
    verified: BTreeSet<Digest>,
    /// What the target was read to have under a tag.
    read: BTreeMap<Tag, Digest>,
    /// Lists of referrers that have more than the source's.
    merged: BTreeMap<Tag, Digest>,
    wrote: BTreeSet<Tag>,
    failed: BTreeMap<Tag, Failure>,
}

/// Copies what is new, writes the tags, and reads everything back.
async fn last(job: &Job, tree: &mut Tree) -> Result<Option<Failure>, End> {
    let importer = &job.importer;
    let known = importer.copies.copied_tags(&job.holder.source, database()).await?;
    let fresh = tree.nodes.is_empty();
    if fresh {
        tree.tags = tags_of(&known);
    }
    let list = source::list(importer, &job.source).await?;
    source::resolve(importer, &job.source, list, fresh && job.import.wrote, tree).await?;
    let listed = match tree.target_tags.take() {
        Some(tags) => tags,
        None => source::target_tags(importer, &job.target).await?,
    };
    let mut empty = listed.is_empty() && !job.import.wrote;
    let mut proof = Proof::default();
    let mut present: BTreeMap<Tag, Digest> = tree
        .tags
        .iter()
        .filter(|(tag, _)| listed.contains(*tag))
        .map(|(tag, to)| (tag.clone(), to.clone()))
        .collect();
    let mut tags_seen: BTreeSet<Tag> = BTreeSet::new();
    for round in 1..=importer.tuning.rounds {
        job.check()?;
        tags_seen.extend(tree.tags.keys().cloned());
        let before = tags::read(job, &std::mem::take(&mut present), &mut proof.verified).await?;
        for (tag, found) in before {
            match found {
                Ok(Some(digest)) => {
                    proof.read.insert(tag, digest);
                }
                Ok(None) => {}
                // What is there cannot be read: it is written again, and read again then.
                Err(failure) => {
                    tracing::info!(tag = tag.as_str(), said = failure.said, "a tag is unreadable")
                }
            }
        }
        let at_target = source::Read { target: &job.target, verified: &mut proof.verified };
        source::complete(importer, &job.source, tree, (fresh && !empty).then_some(at_target)).await?;
        let wrote = write_round(job, tree, &known, &mut proof, empty).await?;
        empty = false;
        keep(job, tree, &proof).await?;
        // The source once more: what was pushed while this was written is copied too.
        let list = source::list(importer, &job.source).await?;
        let names: BTreeSet<Tag> = tree.tags.keys().chain(tree.unread.keys()).cloned().collect();
        if !wrote && list == names {
            return end(job, tree, &known, &tags_seen, &proof).await;
        }
        let earlier = tree.tags.clone();
        source::resolve(importer, &job.source, list, false, tree).await?;
        if Moved::between(&earlier, &tree.tags).nothing() {
            return end(job, tree, &known, &tags_seen, &proof).await;
        }
        tracing::info!(source = %job.source, round, "the source changed while its tags were written");
    }
    end(job, tree, &known, &tags_seen, &proof).await?;
    Ok(Some(Failure::of_all(Cause::SourceChanging, "the source keeps changing")))
}

fn tags_of(known: &[TagRecord]) -> BTreeMap<Tag, Digest> {
    let of = |record: &TagRecord| {
        let digest = Digest::parse(record.source_digest.as_deref()?).ok()?;
        Some((Tag::parse(&record.tag).ok()?, digest))
    };
    known.iter().filter_map(of).collect()
}

/// Copies what is missing, writes the tags that lead elsewhere at the target, and reads back what is not read yet. Whether
/// anything was written.
async fn write_round(
    job: &Job,
    tree: &mut Tree,
    known: &[TagRecord],
    proof: &mut Proof,
    empty: bool,
) -> Result<bool, End> {
    let wanted = tree.reached();
    // Whatever this worker did not write itself is read: that tells whether it is there, and proves its bytes. What the
    // target says of it without giving it is not enough.
    let unknown: Vec<Digest> = wanted
        .difference(&tree.written)
        .filter(|digest| !proof.verified.contains(*digest))
        .cloned()
        .collect();
    let mut failed = BTreeMap::new();
    if !empty && !unknown.is_empty() {
        let (missing, broken) = tags::read_manifests(job, unknown, &mut proof.verified).await?;
        tree.there.retain(|digest| !missing.contains(digest));
        failed.extend(broken);
    }
    tree.there.extend(wanted.intersection(&proof.verified).cloned());
    let before = tree.there.len();
    failed.extend(copy_missing(job, tree, &wanted, empty).await?);
    let mut wrote = tree.there.len() > before;

    proof.failed = tree.failed_tags(&failed);
    let ours: BTreeMap<&str, &str> = known
        .iter()
        .filter(|record| record.wrote)
        .filter_map(|record| Some((record.tag.as_str(), record.target_digest.as_deref()?)))
        .collect();
    let mut write = BTreeMap::new();
    for (tag, digest) in &tree.tags {
        let there = proof.read.get(tag);
        if proof.failed.contains_key(tag) || there == Some(digest) {
            continue;
        }
        let foreign = there.is_some_and(|there| {
            !proof.wrote.contains(tag) && ours.get(tag.as_str()) != Some(&there.to_string().as_str())
        });
        if foreign
            && tags::is_fallback(tag)
            && let Some(merged) = tags::merge(job, tag, digest).await?
        {
            proof.merged.insert(tag.clone(), merged);
            continue;
        }
        proof.merged.remove(tag);
        write.insert(tag.clone(), digest.clone());
    }
    if !write.is_empty() {
        job.will_write().await?;
        wrote = true;
    }
    let refused = tags::write(job, &write).await?;
    proof.wrote.extend(write.keys().filter(|tag| !refused.contains_key(*tag)).cloned());
    proof.failed.extend(refused);
    for (tag, digest) in tags::write_fallbacks(job, tree).await? {
        proof.merged.insert(tag, digest);
    }

    if job.import.lease_lost && wrote {
        // Whoever had the lease before may have had a request under way until now.
        let pause = job.importer.tuning.lease;
        if job.stop.asked_within(pause).await {
            return Err(End::Stopped);
        }
    }
    write.retain(|tag, _| !proof.failed.contains_key(tag));
    for (tag, found) in tags::read(job, &write, &mut proof.verified).await? {
        match found {
            Ok(Some(digest)) => {
                proof.read.insert(tag, digest);
            }
            Ok(None) => {
                proof.read.remove(&tag);
            }
            Err(failure) => {
                proof.failed.insert(tag, failure);
            }
        }
    }
    let rest: Vec<Digest> = wanted
        .iter()
        .filter(|digest| !proof.verified.contains(*digest) && tree.there.contains(*digest))
        .filter(|digest| !failed.contains_key(*digest))
        .cloned()
        .collect();
    let (missing, broken) = tags::read_manifests(job, rest, &mut proof.verified).await?;
    failed.extend(broken);
    failed.extend(missing.into_iter().map(|digest| {
        tree.there.remove(&digest);
        let said = format!("target: the manifest {digest} is missing after it was written");
        (digest, Failure::of_part(Cause::TargetBroken, said))
    }));
    let unproven = tree.failed_tags(&failed);
    for (tag, failure) in unproven {
        proof.failed.entry(tag).or_insert(failure);
    }
    for (tag, digest) in &tree.tags {
        let merged = proof.merged.contains_key(tag);
        if !merged && proof.read.get(tag) != Some(digest) {
            let said = "target: the tag leads elsewhere than it was written to";
            proof.failed.entry(tag.clone()).or_insert_with(|| Failure::of_part(Cause::Conflict, said));
        }
    }
    Ok(wrote)
}

/// Keeps what became of each tag.
async fn keep(job: &Job, tree: &Tree, proof: &Proof) -> Result<(), End> {
    let names: BTreeSet<&Tag> =
        tree.tags.keys().chain(tree.unread.keys()).chain(proof.merged.keys()).collect();
    let records: Vec<TagRecord> = names.into_iter().map(|tag| record(tag, tree, proof)).collect();
    let done = records.iter().filter(|record| record.state != TagState::Failed).count();
    job.importer.copies.keep_copied_tags(&job.holder, &records, database()).await?;
    job.done(|progress| progress.tags_done = done as u64);
    Ok(())
}

fn record(tag: &Tag, tree: &Tree, proof: &Proof) -> TagRecord {
    let failure = proof.failed.get(tag);
    let merged = proof.merged.get(tag);
    let state = match (failure, merged) {
        (Some(_), _) => TagState::Failed,
        (None, Some(_)) => TagState::Merged,
        (None, None) => TagState::Equal,
    };
    TagRecord {
        tag: tag.as_str().to_owned(),
        source_digest: tree.tags.get(tag).map(ToString::to_string),
        target_digest: merged.or_else(|| proof.read.get(tag)).map(ToString::to_string),
        state,
        wrote: proof.wrote.contains(tag) || merged.is_some(),
        cause: failure.map(|failure| failure.cause.as_str().to_owned()),
        error: failure.map(Failure::kept),
    }
}

/// Keeps which tags the source has no more, and says what failed.
async fn end(
    job: &Job,
    tree: &Tree,
    known: &[TagRecord],
    seen: &BTreeSet<Tag>,
    proof: &Proof,
) -> Result<Option<Failure>, End> {
    let has = |tag: &Tag| {
        tree.tags.contains_key(tag) || tree.unread.contains_key(tag) || proof.merged.contains_key(tag)
    };
    let removes = job.importer.tuning.delete_removed;
    let is_new = |record: &&TagRecord| {
        record.state != TagState::Deleted || (removes && record.wrote && record.target_digest.is_some())
    };
    let earlier = known.iter().filter(is_new);
    let earlier = earlier.filter_map(|record| Some((Tag::parse(&record.tag).ok()?, Some(record))));
    let gone: BTreeMap<Tag, Option<&TagRecord>> =
        seen.iter().cloned().map(|tag| (tag, None)).chain(earlier).filter(|(tag, _)| !has(tag)).collect();
    // What the target was last read to have.
    let mut there: BTreeMap<Tag, Digest> = BTreeMap::new();
    let mut remove: BTreeMap<Tag, Digest> = BTreeMap::new();
    for (tag, before) in &gone {
        let of = |digest: Option<&str>| Digest::parse(digest?).ok();
        let read = proof.read.get(tag).cloned();
        let last = before.and_then(|record| of(record.target_digest.as_deref()));
        let Some(last) = read.clone().or(last) else { continue };
        // What was written is what the source had. The target may have been read to have another's since.
        let wrote = match before {
            _ if proof.wrote.contains(tag) => read,
            Some(record) if record.wrote && record.state != TagState::Merged => {
                of(record.source_digest.as_deref())
            }
            Some(_) | None => None,
        };
        remove.extend(wrote.filter(|_| removes).map(|wrote| (tag.clone(), wrote)));
        there.insert(tag.clone(), last);
    }
    let removed = tags::remove(job, &remove).await?;
    there.retain(|tag, _| !remove.contains_key(tag) || removed.failed.contains_key(tag));
    there.extend(removed.stay);
    let records: Vec<TagRecord> = gone
        .into_iter()
        .map(|(tag, before)| TagRecord {
            source_digest: before.and_then(|record| record.source_digest.clone()),
            target_digest: there.get(&tag).map(ToString::to_string),
            state: if removed.failed.contains_key(&tag) { TagState::Failed } else { TagState::Deleted },
            wrote: proof.wrote.contains(&tag),
            cause: removed.failed.get(&tag).map(|failure| failure.cause.as_str().to_owned()),
            error: removed.failed.get(&tag).map(Failure::kept),
            tag: tag.as_str().to_owned(),
        })
        .collect();
    job.importer.copies.keep_copied_tags(&job.holder, &records, database()).await?;
    let failed: BTreeMap<Tag, Failure> = proof
        .failed
        .iter()
        .filter(|(tag, _)| has(tag))
        .map(|(tag, failure)| (tag.clone(), failure.clone()))
        .chain(removed.failed)
        .collect();
    Ok(tags::summary(&failed, tree.tags.len() + tree.unread.len()))
}
