//! What a run will do, before it does anything.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use oci::{Digest, Name};
use serde::Serialize;
use shared::{endpoint::EndpointError, store::importer::ImportStatus};

use crate::{
    cause::{Failure, Problem},
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
}

impl Importer {
    /// Reads the source's tags and manifests, which are kept for the run, and asks the target what it has. Writes nothing.
    /// `seen` is called with each repository once it is known. One that cannot be read says so in its plan.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn plan(
        &self,
        names: &[(Name, Name)],
        seen: &(dyn Fn(&RepositoryPlan) + Sync),
    ) -> Result<Plan, EndpointError> {
        let at_once = usize::try_from(self.tuning.capacity.max(1)).unwrap_or(1);
        let mut plans = stream::iter(names.to_vec())
            .map(|(source, target)| async move { self.plan_one(&source, &target).await })
            .buffered(at_once);
        let (mut repositories, mut totals) = (Vec::new(), Totals::default());
        let mut blobs: BTreeMap<Digest, (u64, bool)> = BTreeMap::new();
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
            for (digest, (size, there)) in of_it {
                let known = blobs.entry(digest).or_insert((size, false));
                known.1 |= there;
            }
            repositories.push(plan);
        }
        for (size, there) in blobs.into_values() {
            totals.blobs += 1;
            totals.bytes += size;
            totals.bytes_there += if there { size } else { 0 };
        }
        Ok(Plan { repositories, totals })
    }

    async fn plan_one(
        &self,
        source: &Name,
        target: &Name,
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
        let failed = tree.failed_tags(&BTreeMap::new());
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
