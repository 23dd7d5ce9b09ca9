//! The index under a fallback tag: who refers to a manifest, where the registry has no referrers API.

use std::collections::HashSet;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Content, Descriptor, OCI_INDEX};
use crate::error::{Cause, Error};

/// An index of `descriptors`, each as it was written.
#[must_use]
pub fn index_of(descriptors: &[Descriptor]) -> Bytes {
    let entries: Vec<&str> = descriptors.iter().map(Descriptor::raw).collect();
    let entries = entries.join(",");
    format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{entries}]}}"#).into()
}

/// The index `base` with what `more` names and `base` lacks, after what `base` names. What stands in `base` stays as it
/// is written, but for that list. None: `base` lacks nothing.
///
/// # Errors
/// [`Cause::ManifestInvalid`] where one of them is no index.
pub fn merge_indexes(base: &[u8], more: &[u8]) -> Result<Option<Bytes>, Error> {
    #[derive(Deserialize)]
    struct Base<'a> {
        #[serde(borrow)]
        manifests: Option<&'a RawValue>,
    }
    let there = Content::read(OCI_INDEX, base)?.manifests;
    let mut known: HashSet<_> = there.iter().map(|entry| entry.digest.clone()).collect();
    let more = Content::read(OCI_INDEX, more)?.manifests;
    let new: Vec<&str> =
        more.iter().filter(|entry| known.insert(entry.digest.clone())).map(Descriptor::raw).collect();
    if new.is_empty() {
        return Ok(None);
    }
    let invalid = |said: &str| Error::new(Cause::ManifestInvalid, "merge indexes", said);
    let base = std::str::from_utf8(base).map_err(|_| invalid("not UTF-8"))?;
    let raw: Base<'_> = serde_json::from_str(base).map_err(|error| invalid(&error.to_string()))?;
    let list = raw.manifests.map(RawValue::get).ok_or_else(|| invalid("an index without a list"))?;
    // The list is a part of the text: where it stands there is known without looking for it.
    let start = list.as_ptr().addr() - base.as_ptr().addr();
    let (before, after) = (&base[..start], &base[start + list.len()..]);
    let entries: Vec<&str> = there.iter().map(Descriptor::raw).chain(new).collect();
    Ok(Some(format!("{before}[{}]{after}", entries.join(",")).into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{index_of, merge_indexes};
    use crate::{
        Algorithm, Digest,
        manifest::{Content, Descriptor, OCI_INDEX},
    };

    fn index(names: &[u8]) -> Vec<u8> {
        let entries: Vec<String> = names
            .iter()
            .map(|name| {
                let digest = Digest::of(Algorithm::Sha256, &[*name]);
                format!(r#"{{"digest":"{digest}","size":1,"annotations":{{"of":"{name}"}}}}"#)
            })
            .collect();
        format!(
            "{{\r\n \"schemaVersion\": 2, \"manifests\" : [{}] ,\"annotations\":{{}} }}",
            entries.join(" , ")
        )
        .into_bytes()
    }

    fn read(bytes: &[u8]) -> Vec<Descriptor> {
        Content::read(OCI_INDEX, bytes).unwrap().manifests
    }

    #[test]
    fn adds_what_is_missing_and_keeps_the_rest() {
        let merged = merge_indexes(&index(&[1, 2]), &index(&[2, 3, 3])).unwrap().unwrap();
        let text = std::str::from_utf8(&merged).unwrap();
        assert!(text.starts_with("{\r\n \"schemaVersion\": 2, \"manifests\" : [{"), "{text}");
        assert!(text.ends_with("] ,\"annotations\":{} }"), "{text}");
        let of: Vec<&str> = text.split("\"of\":\"").skip(1).map(|rest| &rest[..1]).collect();
        assert_eq!(of, ["1", "2", "3"]);
    }

    #[test]
    fn changes_nothing_where_nothing_is_missing() {
        assert_eq!(merge_indexes(&index(&[1, 2]), &index(&[2])).unwrap(), None);
        assert_eq!(merge_indexes(&index(&[]), &index(&[])).unwrap(), None);
    }

    #[test]
    fn refuses_what_is_no_index() {
        assert!(merge_indexes(b"{}", &index(&[1])).is_err());
        assert!(merge_indexes(b"no json", &index(&[1])).is_err());
        assert!(merge_indexes(&index(&[1]), b"[]").is_err());
    }

    proptest! {
        #[test]
        fn holds_each_entry_of_both_once(base: Vec<u8>, more: Vec<u8>) {
            let unique = |names: &[u8]| {
                let mut names = names.to_vec();
                names.sort_unstable();
                names.dedup();
                names
            };
            let (base, more) = (unique(&base), unique(&more));
            let merged = merge_indexes(&index(&base), &index(&more)).unwrap();
            let merged = merged.map_or_else(|| index(&base), |merged| merged.to_vec());
            let mut found: Vec<Digest> = read(&merged).into_iter().map(|entry| entry.digest).collect();
            let mut wanted: Vec<Digest> =
                unique(&[base, more].concat()).iter().map(|name| Digest::of(Algorithm::Sha256, &[*name])).collect();
            found.sort();
            wanted.sort();
            prop_assert_eq!(found, wanted);
            prop_assert_eq!(read(&index_of(&read(&merged))).len(), read(&merged).len());
        }
    }
}
