//! The check that no tag is lost: the tags of a repository are listed before its final step and compared after its end.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    endpoint::{EndpointError, Purpose, Writer},
    migration::{ContainerRepository, MissingTags, TagsCheck},
    registry::RegistryClient,
    store::{Compared, KeptTags, Store},
};

/// The longest that a list is waited for. The final step is asked for without it then.
const LISTING: Duration = Duration::from_secs(3);

/// The longest that keeping it may take, for the same reason.
const KEEPING: Duration = Duration::from_secs(3);

/// The most bytes of compressed names that are kept.
const MAX_KEPT: usize = 256 * 1024;

/// The most bytes that they are decompressed to: far more than names that fit can be.
const MAX_NAMES: u64 = 64 * 1024 * 1024;

/// Tags that could not be listed for so long after the end are not compared any more.
const GIVEN_UP_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// What became of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TagsCompared {
    /// Nobody waits for it.
    Nothing,
    /// All are there.
    Complete,
    /// Some are missing.
    Missing,
    /// Nobody will know.
    Unverified,
    /// The registry did not list them. The guard tries again.
    NotListed,
}

/// Lists the tags of a row whose final step is about to be asked for, where the row says that they are due, and keeps
/// them. The step is asked for all the same where that fails: the row then says that nobody compared them. None: the row
/// has moved on, and there is nothing to ask for.
pub(super) async fn prepare_final<P: Purpose<Endpoint = Writer>>(
    store: &Store<P>,
    registry: &RegistryClient,
    row: ContainerRepository,
    deadline: Instant,
) -> Option<ContainerRepository> {
    let (Some(TagsCheck::TagsDue), Some(attempt)) = (row.tags_check, row.attempt) else { return Some(row) };
    let path = &row.path;
    let listed = registry.list_tags(path, deadline.min(Instant::now() + LISTING)).await;
    let kept = match listed {
        Ok(tags) => Some(keep(&tags.unwrap_or_default())),
        Err(incomplete) => {
            tracing::warn!(%path, reason = %incomplete, "the tags were not listed before the final step");
            None
        }
    };
    match store.keep_tags(path, attempt, kept.as_ref(), deadline.min(Instant::now() + KEEPING)).await {
        Ok(row) => row,
        Err(error) => {
            tracing::warn!(%path, %error, "the tags were not kept before the final step");
            Some(row)
        }
    }
}

/// Compares the tags of a finished row with those that were kept before its final step. Any number may do it at once.
///
/// # Errors
/// [`EndpointError`] when the writer did not answer: the guard does it again.
pub async fn compare_tags<P: Purpose<Endpoint = Writer>>(
    store: &Store<P>,
    registry: &RegistryClient,
    row: &ContainerRepository,
    deadline: Instant,
) -> Result<TagsCompared, EndpointError> {
    if !row.tags_check.is_some_and(TagsCheck::is_kept) {
        return Ok(TagsCompared::Nothing);
    }
    let path = &row.path;
    let after = match registry.list_tags(path, deadline.min(Instant::now() + LISTING)).await {
        Ok(tags) => tags.unwrap_or_default(),
        Err(incomplete) => {
            tracing::warn!(%path, reason = %incomplete, "the tags were not listed after the import");
            let done = row.import_done_at.unwrap_or(Timestamp::UNIX_EPOCH);
            if Timestamp::now().duration_since(done) < GIVEN_UP_AFTER {
                return Ok(TagsCompared::NotListed);
            }
            return settle(store, row, None, TagsCheck::TagsUnverified, deadline).await;
        }
    };
    let (before, names) = match store.compare_tags(path, &keep(&after), deadline).await? {
        Compared::Nothing => return Ok(TagsCompared::Nothing),
        Compared::Same => return Ok(TagsCompared::Complete),
        Compared::Differs { count, names } => (count, names.and_then(|names| names_of(&names))),
    };
    let (missing, check) = judge(before, names.as_ref(), &after);
    settle(store, row, missing, check, deadline).await
}

/// What is missing, and what the row is to say.
fn judge(
    before: i64,
    names: Option<&BTreeSet<String>>,
    after: &BTreeSet<String>,
) -> (Option<MissingTags>, TagsCheck) {
    let missing = match names {
        Some(names) => MissingTags::between(names, after),
        None => MissingTags::by_count(before, i64::try_from(after.len()).unwrap_or(i64::MAX)),
    };
    let check = match (&missing, names) {
        (Some(_), _) => TagsCheck::TagsMissing,
        // More than before, and other ones.
        (None, Some(_)) => TagsCheck::TagsComplete,
        // They are others, and nobody can tell which.
        (None, None) => TagsCheck::TagsUnverified,
    };
    (missing, check)
}

async fn settle<P: Purpose<Endpoint = Writer>>(
    store: &Store<P>,
    row: &ContainerRepository,
    missing: Option<MissingTags>,
    check: TagsCheck,
    deadline: Instant,
) -> Result<TagsCompared, EndpointError> {
    let path = &row.path;
    let settled = store.settle_tags(path, missing.as_ref(), check, Uuid::new_v4(), deadline).await?;
    if !settled.is_some_and(|settled| settled.verdict.took_effect()) {
        return Ok(TagsCompared::Nothing);
    }
    Ok(match check {
        TagsCheck::TagsMissing => {
            let count = missing.map_or(0, |missing| missing.count);
            tracing::error!(%path, count, "tags are missing after the import");
            TagsCompared::Missing
        }
        TagsCheck::TagsUnverified => TagsCompared::Unverified,
        TagsCheck::TagsDue
        | TagsCheck::TagsListed
        | TagsCheck::TagsCounted
        | TagsCheck::TagsComplete
        | TagsCheck::TagsAccepted => TagsCompared::Complete,
    })
}

/// What is kept of a list. The same names come to the same, whatever order they were listed in.
fn keep(tags: &BTreeSet<String>) -> KeptTags {
    let text = serde_json::to_vec(tags).unwrap_or_default();
    let hash = digest(&SHA256, &text).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    // Writing to memory cannot fail.
    let compressed = encoder.write_all(&text).and_then(|()| encoder.finish()).ok();
    let names = compressed.filter(|bytes| bytes.len() <= MAX_KEPT).map(|bytes| STANDARD.encode(bytes));
    KeptTags { count: i64::try_from(tags.len()).unwrap_or(i64::MAX), hash, names }
}

/// The names that were kept. None: they cannot be read.
fn names_of(kept: &str) -> Option<BTreeSet<String>> {
    let compressed = STANDARD.decode(kept).ok()?;
    let mut text = Vec::new();
    DeflateDecoder::new(compressed.as_slice()).take(MAX_NAMES).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests;
