//! Reads every blob of the target once: what the plain proof does not.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use oci::{Digest, Hasher, Name, Reference};

use crate::{
    cause::{Cause, Failure, Problem, Side},
    importer::Importer,
    tree::{Node, Tree},
};

impl Importer {
    /// Reads every blob that the tags of these repositories of the target lead to, each once, and compares its digest. `seen`
    /// is called with the bytes as they are read. Returns what is broken, by repository.
    pub async fn verify_blobs(&self, targets: &[Name], seen: &(dyn Fn(u64) + Sync)) -> Vec<(Name, Problem)> {
        let mut problems = Vec::new();
        let mut blobs: BTreeMap<Digest, (Name, u64)> = BTreeMap::new();
        for target in targets {
            match self.target_tree(target).await {
                Ok(tree) => {
                    for (tag, failure) in tree.failed_tags(&BTreeMap::new()) {
                        problems.push((target.clone(), failure.problem(Some(tag.as_str()))));
                    }
                    for (digest, size) in tree.blobs(&tree.reached()) {
                        blobs.entry(digest).or_insert_with(|| (target.clone(), size));
                    }
                }
                Err(failure) => problems.push((target.clone(), failure.problem(None))),
            }
        }
        let read: Vec<(Name, Result<(), Failure>)> = stream::iter(blobs)
            .map(|(digest, (target, size))| async move {
                let read = self.read_blob(&target, &digest, size, seen).await;
                (target, read)
            })
            .buffer_unordered(self.tuning.in_flight)
            .collect()
            .await;
        problems
            .extend(read.into_iter().filter_map(|(target, read)| Some((target, read.err()?.problem(None)))));
        problems
    }

    async fn target_tree(&self, target: &Name) -> Result<Tree, Failure> {
        let failed = |error: oci::Error| Failure::of(Side::Target, &error);
        let mut tree = Tree::default();
        for tag in self.target.tags(target, self.patience()).await.map_err(failed)?.items {
            match self.target.get_manifest(target, &Reference::from(tag.clone()), self.patience()).await {
                Ok(Some(manifest)) => {
                    tree.nodes.insert(manifest.digest().clone(), Node::of(&manifest));
                    tree.tags.insert(tag, manifest.digest().clone());
                }
                Ok(None) => {}
                Err(error) => {
                    tree.unread.insert(tag, failed(error));
                }
            }
        }
        loop {
            let unread = tree.unread_manifests();
            if unread.is_empty() {
                return Ok(tree);
            }
            for digest in unread {
                let reference = Reference::from(digest.clone());
                let node = match self.target.get_manifest(target, &reference, self.patience()).await {
                    Ok(Some(manifest)) => Node::of(&manifest),
                    Ok(None) => {
                        let said = format!("target: the manifest {digest} is missing");
                        Node::failed(Failure::of_part(Cause::TargetBroken, said))
                    }
                    Err(error) => Node::failed(failed(error)),
                };
                tree.nodes.insert(digest, node);
            }
        }
    }

    async fn read_blob(
        &self,
        target: &Name,
        digest: &Digest,
        size: u64,
        seen: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Failure> {
        let mut reader = self.target.read_blob(target, digest, size, 0);
        let mut hasher = Hasher::new(digest.algorithm());
        loop {
            let part = reader
                .part(1 << 16, self.patience())
                .await
                .map_err(|error| Failure::of(Side::Target, &error))?;
            let Some(part) = part else { break };
            seen(part.len() as u64);
            hasher.update(&part);
        }
        let found = hasher.finish();
        if found == *digest {
            return Ok(());
        }
        let said = format!("target: the blob {digest} has other bytes: {found}");
        Err(Failure::of_part(Cause::TargetBroken, said))
    }
}
