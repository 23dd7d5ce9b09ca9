//! What a repository holds, as far as it has been read: tags, manifests and what each of them names. Without I/O.

use std::collections::{BTreeMap, BTreeSet};

use oci::{Content, Descriptor, Digest, Kind, Manifest, Tag};

use crate::cause::{Cause, Failure};

/// A manifest, without its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    /// The manifests that it names: they come first.
    pub(crate) children: Vec<Digest>,
    /// The blobs that it names, with their sizes, each once.
    pub(crate) blobs: BTreeMap<Digest, u64>,
    /// The layers that may be kept elsewhere, with their sizes, and that the source is not known to have.
    pub(crate) foreign: BTreeMap<Digest, u64>,
    /// What it refers to: that comes first too.
    pub(crate) subject: Option<Digest>,
    /// Why it cannot be copied, as far as it alone tells.
    pub(crate) failure: Option<Failure>,
}

impl Node {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        match manifest.parse() {
            Ok(content) => Self::of_content(&content),
            Err(error) => Self::failed(Failure::of_part(
                Cause::SourceBroken,
                format!("the manifest {} cannot be read: {error}", manifest.digest()),
            )),
        }
    }

    fn of_content(content: &Content) -> Self {
        let failure = (content.kind == Kind::Schema1).then(|| {
            Failure::of_part(Cause::UnsupportedMediaType, "a manifest of schema 1, which is not converted")
        });
        Self {
            children: content.manifests.iter().map(|child| child.digest.clone()).collect(),
            blobs: content.blobs().map(|blob| (blob.digest.clone(), blob.size)).collect(),
            foreign: content.foreign().map(|blob| (blob.digest.clone(), blob.size)).collect(),
            subject: content.subject.as_ref().map(|subject| subject.digest.clone()),
            failure,
        }
    }

    pub(crate) fn failed(failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::default() }
    }
}

/// What is known of a repository of the source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    /// What each tag leads to.
    pub(crate) tags: BTreeMap<Tag, Digest>,
    /// Tags that could not be read.
    pub(crate) unread: BTreeMap<Tag, Failure>,
    pub(crate) nodes: BTreeMap<Digest, Node>,
    /// What refers to a manifest, by the source's own list of referrers.
    pub(crate) referrers: BTreeMap<Digest, Vec<Descriptor>>,
    /// Which manifests the target is known to have: it said so, or took them.
    pub(crate) there: BTreeSet<Digest>,
    /// Those that it took from this worker. What it only says that it has is read before anything relies on it.
    pub(crate) written: BTreeSet<Digest>,
    /// The target's tags before anything was written, where they were listed.
    pub(crate) target_tags: Option<BTreeSet<Tag>>,
}

impl Tree {
    /// The manifests that are named and not read yet.
    pub(crate) fn unread_manifests(&self) -> BTreeSet<Digest> {
        let children = self.nodes.values().flat_map(|node| node.children.iter());
        let referrers = self.referrers.values().flatten().map(|descriptor| &descriptor.digest);
        let named = self.tags.values().chain(children).chain(referrers);
        named.filter(|digest| !self.nodes.contains_key(*digest)).cloned().collect()
    }

    /// The manifests that the tags lead to, with what refers to them.
    pub(crate) fn reached(&self) -> BTreeSet<Digest> {
        let mut reached = BTreeSet::new();
        for digest in self.tags.values() {
            self.reach(digest, &mut reached);
        }
        reached
    }

    fn reach(&self, from: &Digest, reached: &mut BTreeSet<Digest>) {
        let mut next = vec![from.clone()];
        while let Some(digest) = next.pop() {
            if !reached.insert(digest.clone()) {
                continue;
            }
            if let Some(node) = self.nodes.get(&digest) {
                next.extend(node.children.iter().cloned());
            }
            let referrers = self.referrers.get(&digest).into_iter().flatten();
            next.extend(referrers.map(|descriptor| descriptor.digest.clone()));
        }
    }

    /// These manifests in groups: whatever one names or refers to is in an earlier group. Those of one group may be
    /// written at once.
    pub(crate) fn levels(&self, wanted: &BTreeSet<Digest>) -> Vec<Vec<Digest>> {
        let before = |digest: &Digest| -> BTreeSet<Digest> {
            let node = self.nodes.get(digest);
            let children = node.into_iter().flat_map(|node| node.children.iter());
            let subject = node.and_then(|node| node.subject.as_ref());
            children
                .chain(subject)
                .filter(|named| wanted.contains(*named) && *named != digest)
                .cloned()
                .collect()
        };
        let mut waits: BTreeMap<Digest, usize> = BTreeMap::new();
        let mut named_by: BTreeMap<Digest, Vec<Digest>> = BTreeMap::new();
        for digest in wanted {
            let first = before(digest);
            waits.insert(digest.clone(), first.len());
            for named in first {
                named_by.entry(named).or_default().push(digest.clone());
            }
        }
        let mut levels = Vec::new();
        let mut level: Vec<Digest> =
            waits.iter().filter(|(_, waits)| **waits == 0).map(|(digest, _)| digest.clone()).collect();
        while !level.is_empty() {
            let mut next = Vec::new();
            for named in level.iter().flat_map(|done| named_by.get(done).into_iter().flatten()) {
                if let Some(left) = waits.get_mut(named) {
                    *left -= 1;
                    if *left == 0 {
                        next.push(named.clone());
                    }
                }
            }
            levels.push(std::mem::replace(&mut level, next));
        }
        levels
    }

    /// The blobs of these manifests, each once.
    pub(crate) fn blobs<'a>(&self, of: impl IntoIterator<Item = &'a Digest>) -> BTreeMap<Digest, u64> {
        of.into_iter()
            .filter_map(|digest| self.nodes.get(digest))
            .flat_map(|node| node.blobs.iter().map(|(digest, size)| (digest.clone(), *size)))
            .collect()
    }

    /// The layers that may be kept elsewhere, and that the source is not known to have.
    pub(crate) fn foreign(&self) -> BTreeMap<Digest, u64> {
        self.nodes.values().flat_map(|node| node.foreign.clone()).collect()
    }

    /// The source has these of them.
    pub(crate) fn has_foreign(&mut self, there: &BTreeSet<Digest>) {
        for node in self.nodes.values_mut() {
            let (has, lacks) =
                std::mem::take(&mut node.foreign).into_iter().partition(|(digest, _)| there.contains(digest));
            node.foreign = lacks;
            node.blobs.extend::<BTreeMap<_, _>>(has);
        }
    }

    /// Why the target refuses a manifest, where that is about a layer that is kept elsewhere.
    pub(crate) fn refused(&self, digest: &Digest, failure: Failure) -> Failure {
        match self.nodes.get(digest).and_then(|node| node.foreign.keys().next()) {
            Some(layer) => {
                let said =
                    format!("the layer {layer} is kept elsewhere and the source lacks it: {}", failure.said);
                Failure::of_part(Cause::UnsupportedMediaType, said)
            }
            None => failure,
        }
    }

    /// Which manifests cannot be copied as they are: these blobs are not to be had.
    pub(crate) fn without(&self, blobs: &BTreeMap<Digest, Failure>) -> BTreeMap<Digest, Failure> {
        self.nodes
            .iter()
            .filter_map(|(digest, node)| {
                let lacks = node.blobs.keys().find_map(|blob| blobs.get(blob))?;
                Some((digest.clone(), lacks.clone()))
            })
            .collect()
    }

    /// Which tags cannot be copied: those that could not be read, and those that lead to a manifest that failed by itself
    /// or is in `failed`.
    pub(crate) fn failed_tags(&self, failed: &BTreeMap<Digest, Failure>) -> BTreeMap<Tag, Failure> {
        let mut tags = self.unread.clone();
        for (tag, digest) in &self.tags {
            let mut reached = BTreeSet::new();
            self.reach(digest, &mut reached);
            let failure = reached
                .iter()
                .find_map(|digest| failed.get(digest).or_else(|| self.nodes.get(digest)?.failure.as_ref()));
            if let Some(failure) = failure {
                tags.insert(tag.clone(), failure.clone());
            }
        }
        tags
    }

    /// A manifest fails with what it names.
    pub(crate) fn failure_of(&self, digest: &Digest, failed: &BTreeMap<Digest, Failure>) -> Option<Failure> {
        let node = self.nodes.get(digest)?;
        let named = node.children.iter().chain(node.blobs.keys());
        node.failure.clone().or_else(|| named.filter_map(|named| failed.get(named)).next().cloned())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use oci::{Algorithm, Digest, Tag};

    use super::{Node, Tree};
    use crate::cause::{Cause, Failure};

    fn digest(name: &str) -> Digest {
        Digest::of(Algorithm::Sha256, name.as_bytes())
    }

    fn tag(name: &str) -> Tag {
        Tag::parse(name).unwrap()
    }

    /// An index of two images, a nested index of it, a signature of one image, and an image that is alone.
    fn tree() -> Tree {
        let node = |children: &[&str], blobs: &[(&str, u64)], subject: Option<&str>| Node {
            children: children.iter().map(|name| digest(name)).collect(),
            blobs: blobs.iter().map(|(name, size)| (digest(name), *size)).collect(),
            foreign: BTreeMap::new(),
            subject: subject.map(digest),
            failure: None,
        };
        let nodes = [
            ("arm", node(&[], &[("base", 10), ("arm-layer", 5)], None)),
            ("amd", node(&[], &[("base", 10), ("amd-layer", 6)], None)),
            ("index", node(&["arm", "amd"], &[], None)),
            ("nested", node(&["index", "alone"], &[], None)),
            ("signature", node(&[], &[("payload", 1)], Some("arm"))),
            ("alone", node(&[], &[("base", 10)], None)),
        ];
        Tree {
            tags: [("v1", "index"), ("all", "nested"), ("one", "alone"), ("sig", "signature")]
                .into_iter()
                .map(|(name, leads_to)| (tag(name), digest(leads_to)))
                .collect(),
            nodes: nodes.into_iter().map(|(name, node)| (digest(name), node)).collect(),
            ..Tree::default()
        }
    }

    #[test]
    fn writes_children_and_subjects_first() {
        let tree = tree();
        let levels = tree.levels(&tree.reached());
        let level = |name: &str| levels.iter().position(|level| level.contains(&digest(name))).unwrap();
        assert_eq!(levels.iter().map(Vec::len).sum::<usize>(), 6);
        for (first, then) in [
            ("arm", "index"),
            ("amd", "index"),
            ("index", "nested"),
            ("alone", "nested"),
            ("arm", "signature"),
        ] {
            assert!(level(first) < level(then), "{first} before {then}");
        }
        assert_eq!((level("arm"), level("alone")), (0, 0), "what waits for nothing is written at once");
        // What is there already is not waited for.
        let only = BTreeSet::from([digest("nested"), digest("signature")]);
        assert_eq!(tree.levels(&only).len(), 1);
    }

    #[test]
    fn names_each_blob_once() {
        let tree = tree();
        assert_eq!(tree.blobs(&tree.reached()).values().sum::<u64>(), 22);
    }

    #[test]
    fn a_failure_belongs_to_the_tags_that_lead_to_it() {
        let tree = tree();
        let broken = Failure::of_part(Cause::SourceBroken, "gone");
        let failed = BTreeMap::from([(digest("amd"), broken.clone())]);
        let tags: Vec<Tag> = tree.failed_tags(&failed).into_keys().collect();
        assert_eq!(tags, [tag("all"), tag("v1")]);
        let of_blob = BTreeMap::from([(digest("amd-layer"), broken.clone())]);
        assert_eq!(tree.failure_of(&digest("amd"), &of_blob), Some(broken));
        assert_eq!(tree.failure_of(&digest("arm"), &of_blob), None);
    }

    #[test]
    fn tells_what_is_still_to_be_read() {
        let mut tree = tree();
        assert!(tree.unread_manifests().is_empty());
        tree.nodes.remove(&digest("amd"));
        assert_eq!(tree.unread_manifests(), BTreeSet::from([digest("amd")]));
    }
}
