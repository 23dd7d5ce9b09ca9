//! Manifests and indexes.

use std::collections::BTreeSet;

use bytes::Bytes;
use oci::{Descriptor, Digest, Kind, MANIFEST_TYPES, Manifest, OCI_INDEX, index_of, merge_indexes};

use crate::{is_planted, pieces};

/// The type's number or its name in the first line, then a manifest; after a NUL a second one, which is joined to it.
pub fn run(data: &[u8]) {
    let ([media_type], bytes) = pieces::lines(data);
    let media_type = match media_type {
        [digit @ b'0'..=b'6'] => MANIFEST_TYPES[usize::from(digit - b'0')].to_owned(),
        named => pieces::text(named),
    };
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let (one, other) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    is_read(&media_type, one);
    joins(one, other);
}

fn is_read(media_type: &str, bytes: &[u8]) {
    let manifest = Manifest::new(Bytes::copy_from_slice(bytes), media_type.to_owned());
    let again = Manifest::named(manifest.bytes().clone(), String::new(), manifest.digest());
    assert!(again.is_ok_and(|again| again.bytes() == bytes), "the bytes are not what was read");
    let Ok(content) = manifest.parse() else { return };
    let text = pieces::text(bytes);
    let named =
        || content.config.iter().chain(&content.layers).chain(&content.manifests).chain(&content.subject);
    for descriptor in named() {
        assert!(text.contains(descriptor.raw()), "a descriptor is not as it was written");
    }
    // The planted fault: no layer has another size than these.
    assert!(!(is_planted() && content.layers.iter().any(|layer| !matches!(layer.size, 1 | 5))), "planted");
    assert!(content.kind != Kind::Schema1 || named().next().is_none(), "nothing of schema 1 is read");
    let (blobs, foreign) = (digests(content.blobs()), digests(content.foreign()));
    let all = digests(content.config.iter().chain(&content.layers));
    assert_eq!(blobs.union(&foreign).cloned().collect::<BTreeSet<_>>(), all, "a blob is left behind");
    let index = Manifest::new(index_of(&content.manifests), OCI_INDEX.to_owned()).parse();
    let again = index.map(|index| digests(&index.manifests)).ok();
    assert_eq!(again, Some(digests(&content.manifests)), "an index loses what it names");
}

/// The joined index names what both name, and to join once more changes nothing.
fn joins(one: &[u8], other: &[u8]) {
    let named = |bytes: &[u8]| {
        let index = Manifest::new(Bytes::copy_from_slice(bytes), OCI_INDEX.to_owned()).parse();
        index.map(|index| digests(&index.manifests)).unwrap_or_default()
    };
    let Ok(joined) = merge_indexes(one, other) else { return };
    let (one_names, other_names) = (named(one), named(other));
    let Some(joined) = joined else {
        assert!(other_names.is_subset(&one_names), "an entry is left behind");
        return;
    };
    assert_eq!(named(&joined), one_names.union(&other_names).cloned().collect::<BTreeSet<_>>());
    assert!(matches!(merge_indexes(&joined, other), Ok(None)), "it is never whole");
}

fn digests<'a>(descriptors: impl IntoIterator<Item = &'a Descriptor>) -> BTreeSet<Digest> {
    descriptors.into_iter().map(|descriptor| descriptor.digest.clone()).collect()
}
