//! Compares the tags of finished repositories again, and copies nothing.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use oci::{Client, Digest, Name, Reference, Tag};
use serde::Serialize;
use shared::{
    endpoint::EndpointError,
    store::importer::{ImportStatus, TagRecord, TagState},
};

use crate::{
    cause::{Failure, Problem, Side},
    importer::{Importer, database},
    source,
};

/// How a tag of the target differs from the source's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// The source has it, and the target lacks it.
    Missing,
    /// It leads elsewhere.
    Moved,
    /// The importer wrote it, and the source has it no more.
    Deleted,
}

/// A tag that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// The repository at the source.
    pub source: String,
    /// And at the target.
    pub target: String,
    /// The tag.
    pub tag: String,
    /// How it differs.
    pub difference: Difference,
    /// Where it leads at the source now.
    pub source_digest: Option<String>,
    /// Where it leads at the target now.
    pub target_digest: Option<String>,
}

/// What a comparison came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Repositories that are finished, and were compared.
    pub compared: u64,
    /// Repositories that are not finished.
    pub unfinished: u64,
    /// Tags that were compared.
    pub tags: u64,
    /// Those that differ.
    pub drift: Vec<Drift>,
    /// Repositories and tags that could not be compared, by the repository at the source.
    pub problems: Vec<(String, Problem)>,
}

impl Importer {
    /// Compares where each tag of these repositories leads at both registries, by HEAD. Reads no manifest, writes nothing, and
    /// looks at finished repositories alone. `seen` is called after each.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn compare(
        &self,
        names: &[(Name, Name)],
        seen: &(dyn Fn() + Sync),
    ) -> Result<Comparison, EndpointError> {
        let mut all = Comparison::default();
        for (source, target) in names {
            let row = self.protocol.import(source.as_str(), database()).await?;
            if row.is_none_or(|row| row.status != ImportStatus::ImportComplete) {
                all.unfinished += 1;
            } else {
                let known = self.copies.copied_tags(source.as_str(), database()).await?;
                all.compared += 1;
                match self.compare_one(source, target, &known).await {
                    Ok((tags, drift)) => {
                        all.tags += tags;
                        all.drift.extend(drift);
                    }
                    Err(failure) => all.problems.push((source.as_str().to_owned(), failure.problem(None))),
                }
            }
            seen();
        }
        Ok(all)
    }

    async fn compare_one(
        &self,
        source: &Name,
        target: &Name,
        known: &[TagRecord],
    ) -> Result<(u64, Vec<Drift>), Failure> {
        let known: BTreeMap<&str, &TagRecord> =
            known.iter().map(|record| (record.tag.as_str(), record)).collect();
        let mut here = source::list(self, source).await?;
        // What is written to a target without lists of referrers is no tag of the source.
        let wrote = known.values().filter(|record| record.wrote && record.state != TagState::Merged);
        let gone: BTreeSet<Tag> = wrote
            .filter_map(|record| Tag::parse(&record.tag).ok())
            .filter(|tag| !here.contains(tag))
            .collect();
        let at_source = self.heads(Side::Source, source, &here).await?;
        here.extend(gone);
        let at_target = self.heads(Side::Target, target, &here).await?;
        let drift = here.iter().filter_map(|tag| {
            let (ours, theirs) = (at_source.get(tag), at_target.get(tag));
            let of_run = known.get(tag.as_str()).filter(|record| record.state == TagState::Merged);
            let as_merged = of_run.is_some_and(|record| {
                record.source_digest == ours.map(ToString::to_string)
                    && record.target_digest == theirs.map(ToString::to_string)
            });
            let difference = match (ours, theirs) {
                _ if as_merged => return None,
                (Some(ours), Some(theirs)) if ours == theirs => return None,
                (None, None) => return None,
                (Some(_), Some(_)) => Difference::Moved,
                (Some(_), None) => Difference::Missing,
                (None, Some(_)) => Difference::Deleted,
            };
            Some(Drift {
                source: source.as_str().to_owned(),
                target: target.as_str().to_owned(),
                tag: tag.as_str().to_owned(),
                difference,
                source_digest: ours.map(ToString::to_string),
                target_digest: theirs.map(ToString::to_string),
            })
        });
        Ok((here.len() as u64, drift.collect()))
    }

    /// Where these tags lead at one side. One that is not there is left out.
    async fn heads(
        &self,
        side: Side,
        name: &Name,
        tags: &BTreeSet<Tag>,
    ) -> Result<BTreeMap<Tag, Digest>, Failure> {
        let client: &Client = match side {
            Side::Source => &self.source,
            Side::Target => &self.target,
        };
        let found: Vec<Option<(Tag, Digest)>> = stream::iter(tags.clone())
            .map(|tag| async move {
                let head = client.head_manifest(name, &Reference::from(tag.clone()), self.patience()).await;
                let head = head.map_err(|error| Failure::of(side, &error))?;
                Ok::<_, Failure>(head.map(|head| (tag, head.digest)))
            })
            .buffer_unordered(self.tuning.in_flight)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }
}
