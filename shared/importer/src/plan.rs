//! What a run will do, before it does anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt, stream};
use oci::{Digest, Name};
use serde::Serialize;
use shared::{endpoint::EndpointError, store::importer::ImportStatus};
use tokio::time::Instant;

use crate::{
    cause::{Cause, Failure, Problem},
    importer::{Importer, database},
    manifests, source,
    tree::Tree,
};

/// What is to be done with one repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RepositoryPlan {
    /// Its name at the source.
    pub source: String,
    /// Its name at the target.
    pub target: String,
    /// Whether an earlier run has finished it: it is looked at once more, and only what is new is copied. Its numbers are those
    /// of that run.
    pub finished: bool,
    /// How many tags it has.
    pub tags: u64,
    /// How many of them the target has too, under whatever digest.
    pub tags_there: u64,
    /// How many manifests these lead to.
    pub manifests: u64,
    /// How many of them the target has.
    pub manifests_there: u64,
    /// How many blobs these name.
    pub blobs: u64,
    /// And their bytes.
    pub bytes: u64,
    /// Of these, those of manifests that the target has.
    pub bytes_there: u64,
    /// What cannot be copied.
    pub problems: Vec<Problem>,
    /// Why nothing of it can be.
    pub failed: Option<Problem>,
}

/// What is to be done in all, each distinct blob counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "each is a number of what it is called after")]
pub struct Totals {
    pub repositories: u64,
    pub tags: u64,
    pub manifests: u64,
    pub blobs: u64,
    pub bytes: u64,
    pub bytes_there: u64,
}

/// What a run will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Each repository.
    pub repositories: Vec<RepositoryPlan>,
    /// All of them.
    pub totals: Totals,
    /// What is left to be copied, and tells best by its reading how fast the source is. None: all of it is too small.
    #[serde(skip)]
    pub sample: Option<Sample>,
}

/// The beginning of a blob of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    repository: Name,
    digest: Digest,
    size: u64,
    /// How much of it is read.
    part: u64,
}

/// A blob is read for a measure only where it is so small a part of all that is left.
const PART_OF_ALL: u64 = 100;
/// The least and the most bytes that tell anything.
const TELLING: std::ops::RangeInclusive<u64> = (256 << 10)..=(4 << 20);
/// How long a measure may take.
const MEASURE: Duration = Duration::from_secs(3);

/// Which of these blobs is read for a measure: the largest of those that may be. Of a larger one the beginning is, and what
/// is on its way then is lost with the connection.
fn sample(blobs: &BTreeMap<Digest, (u64, bool, Name)>) -> Option<Sample> {
    let left = || blobs.iter().filter(|(_, (_, there, _))| !there);
    let most = left().map(|(_, (size, ..))| size).sum::<u64>() / PART_OF_ALL;
    let most = most.min(*TELLING.end());
    let of = |(digest, (size, _, repository)): (&Digest, &(u64, bool, Name))| Sample {
        repository: repository.clone(),
        digest: digest.clone(),
        size: *size,
        part: most.min(*size),
    };
    let whole = left().filter(|(_, (size, ..))| *size <= most).max_by_key(|(_, (size, ..))| *size);
    let chosen = whole
        .filter(|(_, (size, ..))| TELLING.contains(size))
        .or_else(|| left().find(|(_, (size, ..))| *size > most));
    chosen.map(of).filter(|sample| TELLING.contains(&sample.part))
}

impl Importer {
    /// Reads the source's tags and manifests, which are kept for the run, and asks the target what it has. Writes nothing.
    /// `seen` is called with each repository once it is known. One that cannot be read says so in its plan.
    /// `asks_for_blobs`: the source is asked for each blob too, which a run finds out when it reads them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn plan(
        &self,
        names: &[(Name, Name)],
        asks_for_blobs: bool,
        seen: &(dyn Fn(&RepositoryPlan) + Sync),
    ) -> Result<Plan, EndpointError> {
        // A blob that several repositories share is asked for once.
        let there = asks_for_blobs.then(Mutex::default);
        let there = there.as_ref();
        let at_once = usize::try_from(self.tuning.capacity.max(1)).unwrap_or(1);
        let mut plans = stream::iter(names.to_vec())
            .map(|(source, target)| async move { self.plan_one(&source, &target, there).await })
            .buffered(at_once);
        let (mut repositories, mut totals) = (Vec::new(), Totals::default());
        let mut blobs: BTreeMap<Digest, (u64, bool, Name)> = BTreeMap::new();
        while let Some(planned) = plans.next().await {
            let (plan, of_it) = planned?;
            seen(&plan);
            totals.repositories += 1;
            totals.tags += plan.tags;
            totals.manifests += plan.manifests;
            if plan.finished {
                totals.blobs += plan.blobs;
                totals.bytes += plan.bytes;
                totals.bytes_there += plan.bytes_there;
            }
            if let Ok(repository) = Name::parse(&plan.source) {
                for (digest, (size, there)) in of_it {
                    let known = blobs.entry(digest).or_insert_with(|| (size, false, repository.clone()));
                    known.1 |= there;
                }
            }
            repositories.push(plan);
        }
        for (size, there, _) in blobs.values() {
            totals.blobs += 1;
            totals.bytes += size;
            totals.bytes_there += if *there { *size } else { 0 };
        }
        Ok(Plan { repositories, totals, sample: sample(&blobs) })
    }

    /// Reads a sample, and says how many bytes a second came. None: it could not be read, or took too long to tell.
    pub async fn measure(&self, sample: &Sample) -> Option<f64> {
        let Sample { repository, digest, size, part } = sample;
        let mut reader = self.source.read_blob(repository, digest, *size, 0);
        let began = Instant::now();
        let read = reader.part(usize::try_from(*part).ok()?, began + MEASURE).await.ok()??;
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let bytes = read.len() as f64;
        Some(bytes / began.elapsed().as_secs_f64().max(1e-6))
    }

    async fn plan_one(
        &self,
        source: &Name,
        target: &Name,
        blobs_there: Option<&Mutex<BTreeSet<Digest>>>,
    ) -> Result<(RepositoryPlan, BTreeMap<Digest, (u64, bool)>), EndpointError> {
        let mut plan = RepositoryPlan {
            source: source.as_str().to_owned(),
            target: target.as_str().to_owned(),
            finished: false,
            tags: 0,
            tags_there: 0,
            manifests: 0,
            manifests_there: 0,
            blobs: 0,
            bytes: 0,
            bytes_there: 0,
            problems: Vec::new(),
            failed: None,
        };
        let row = self.protocol.import(source.as_str(), database()).await?;
        if let Some(row) = row.as_ref().filter(|row| row.status == ImportStatus::ImportComplete) {
            plan.finished = true;
            let of = &row.progress;
            (plan.tags, plan.tags_there) = (of.tags_known, of.tags_done);
            (plan.manifests, plan.manifests_there) = (of.manifests_known, of.manifests_done);
            (plan.blobs, plan.bytes, plan.bytes_there) = (of.blobs_known, of.bytes_known, of.bytes_done);
            return Ok((plan, BTreeMap::new()));
        }
        let begun = row.is_some_and(|row| row.wrote);
        let tree = match self.read_tree(source, target, begun).await {
            Ok(tree) => tree,
            Err(failure) => {
                plan.failed = Some(failure.problem(None));
                return Ok((plan, BTreeMap::new()));
            }
        };
        let reached = tree.reached();
        let there: BTreeSet<Digest> = reached.intersection(&tree.there).cloned().collect();
        let (all, has) = (tree.blobs(&reached), tree.blobs(&there));
        plan.tags = (tree.tags.len() + tree.unread.len()) as u64;
        let target_tags = tree.target_tags.as_ref();
        plan.tags_there =
            tree.tags.keys().filter(|tag| target_tags.is_some_and(|tags| tags.contains(*tag))).count() as u64;
        plan.manifests = reached.len() as u64;
        plan.manifests_there = there.len() as u64;
        plan.blobs = all.len() as u64;
        plan.bytes = all.values().sum();
        plan.bytes_there = has.values().sum();
        let mut missing = BTreeMap::new();
        if let Some(known) = blobs_there {
            let unread: BTreeSet<&Digest> = reached.difference(&there).collect();
            match self.missing_blobs(source, tree.blobs(unread), known).await {
                Ok(found) => missing = found,
                Err(failure) => {
                    plan.failed = Some(failure.problem(None));
                    return Ok((plan, BTreeMap::new()));
                }
            }
        }
        let mut failed = tree.without(&missing);
        for (digest, node) in &tree.nodes {
            if let (Some(layer), false) = (node.foreign.keys().next(), tree.there.contains(digest)) {
                let said = format!(
                    "the layer {layer} is kept elsewhere and the source lacks it: this goes only where the target takes it without"
                );
                failed.entry(digest.clone()).or_insert(Failure::of_part(Cause::UnsupportedMediaType, said));
            }
        }
        let failed = tree.failed_tags(&failed);
        plan.problems = failed.iter().map(|(tag, failure)| failure.problem(Some(tag.as_str()))).collect();
        self.keep_tree(source.as_str(), tree);
        let blobs = all
            .into_iter()
            .map(|(digest, size)| {
                let there = has.contains_key(&digest);
                (digest, (size, there))
            })
            .collect();
        Ok((plan, blobs))
    }

    /// Which of these blobs the source lacks, or has in another size.
    async fn missing_blobs(
        &self,
        source: &Name,
        mut wanted: BTreeMap<Digest, u64>,
        known: &Mutex<BTreeSet<Digest>>,
    ) -> Result<BTreeMap<Digest, Failure>, Failure> {
        let known = || known.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let known = known();
            wanted.retain(|digest, _| !known.contains(digest));
        }
        let found = source::blobs_there(self, source, &wanted).await?;
        let mut missing = BTreeMap::new();
        for (digest, size) in found {
            let expected = wanted.get(&digest).copied();
            let said = match size {
                Some(size) if Some(size) == expected => {
                    known().insert(digest);
                    continue;
                }
                Some(size) => {
                    format!("source: the blob {digest} has {size} bytes there, not those of its descriptor")
                }
                None => format!("source: the blob {digest} is missing"),
            };
            missing.insert(digest, Failure::of_part(Cause::SourceBroken, said));
        }
        Ok(missing)
    }

    async fn read_tree(&self, source: &Name, target: &Name, begun: bool) -> Result<Tree, Failure> {
        let mut tree = Tree::default();
        let list = source::list(self, source).await?;
        source::resolve(self, source, list, begun, &mut tree).await?;
        source::complete(self, source, &mut tree, None).await?;
        let there = source::target_tags(self, target).await?;
        if begun || !there.is_empty() {
            let reached = tree.reached();
            manifests::ask(self, target, &mut tree, &reached).await?;
        }
        tree.target_tags = Some(there);
        Ok(tree)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use oci::{Algorithm, Digest, Name};

    use super::sample;

    /// How much is read of which size, of blobs of these sizes; whether the target has one.
    fn sampled(sizes: &[(u64, bool)]) -> Option<(u64, u64)> {
        let blobs: BTreeMap<_, _> = sizes
            .iter()
            .enumerate()
            .map(|(number, (size, there))| {
                let digest = Digest::of(Algorithm::Sha256, &number.to_be_bytes());
                (digest, (*size, *there, Name::parse("a").unwrap()))
            })
            .collect();
        sample(&blobs).map(|sample| (sample.size, sample.part))
    }

    #[test]
    fn measures_by_a_hundredth_of_what_is_left_at_most() {
        let small = vec![(900_000, false); 200];
        assert_eq!(
            sampled(&[&small[..], &[(3_000_000, false), (1_500_000, true)]].concat()),
            Some((900_000, 900_000))
        );
        // Of large ones alone the beginning.
        assert_eq!(sampled(&[(2_000_000_000, false); 2]), Some((2_000_000_000, 4 << 20)));
        assert_eq!(sampled(&[(100_000_000, false), (1_000, false)]), Some((100_000_000, 1_000_010)));
        // Too little to tell, and nothing left.
        assert_eq!(sampled(&[(1_000_000, false); 5]), None);
        assert_eq!(sampled(&[(2_000_000_000, true)]), None);
    }
}
