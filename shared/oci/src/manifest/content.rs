use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    DOCKER_IMAGE, DOCKER_LIST, OCI_ARTIFACT, OCI_IMAGE, OCI_INDEX, SCHEMA_1, SCHEMA_1_SIGNED, named_type,
};
use crate::{
    Digest,
    error::{Cause, Error},
};

/// What kind of manifest it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An image: a configuration and layers.
    Image,
    /// An index, or a list: other manifests.
    Index,
    /// An artifact of the form that the OCI withdrew: blobs.
    Artifact,
    /// Docker's first form. It names layers without their sizes; nothing of it is read.
    Schema1,
    /// Another type. What it names is read where it names it as the others do.
    Unknown,
}

/// What a manifest names.
#[derive(Clone, Debug)]
pub struct Content {
    /// What kind of manifest it is.
    pub kind: Kind,
    /// The configuration.
    pub config: Option<Descriptor>,
    /// The layers, or an artifact's blobs, in their order.
    pub layers: Vec<Descriptor>,
    /// The manifests of an index, in their order.
    pub manifests: Vec<Descriptor>,
    /// The manifest that this one refers to.
    pub subject: Option<Descriptor>,
    /// What kind of artifact it is.
    pub artifact_type: Option<String>,
}

/// Names a blob or a manifest, with its size and its type.
#[derive(Clone, Debug)]
pub struct Descriptor {
    /// What it names.
    pub digest: Digest,
    /// How many bytes that has.
    pub size: u64,
    /// Of what type it is.
    pub media_type: String,
    /// What kind of artifact it is.
    pub artifact_type: Option<String>,
    /// Other places that are said to have it. Nobody is sent there.
    pub urls: Vec<String>,
    /// As it was written.
    raw: Box<RawValue>,
}

impl Descriptor {
    /// Whether the registry may not have it, because it is to be had elsewhere.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        !self.urls.is_empty()
            || self.media_type.contains(".nondistributable.")
            || self.media_type.contains(".foreign.")
    }

    /// The descriptor as it was written.
    #[must_use]
    pub fn raw(&self) -> &str {
        self.raw.get()
    }

    fn read(raw: &RawValue) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Members {
            digest: Digest,
            size: u64,
            #[serde(default)]
            media_type: String,
            artifact_type: Option<String>,
            urls: Option<Vec<String>>,
        }
        let Members { digest, size, media_type, artifact_type, urls } = serde_json::from_str(raw.get())?;
        let urls = urls.unwrap_or_default();
        Ok(Self { digest, size, media_type, artifact_type, urls, raw: raw.to_owned() })
    }
}

impl Content {
    /// Reads a manifest of type `media_type`. Where a manifest names children in several ways, all of them count: nothing
    /// that somebody may read is left behind.
    pub(super) fn read(media_type: &str, bytes: &[u8]) -> Result<Self, Error> {
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        let kind = kind_of(media_type)
            .or_else(|| named_type(bytes).and_then(|named| kind_of(&named)))
            .unwrap_or(Kind::Unknown);
        if kind == Kind::Schema1 {
            return Ok(Self::without_children(kind));
        }
        match Self::members(kind, bytes) {
            Ok(content) => Ok(content),
            Err(_) if kind == Kind::Unknown => Ok(Self::without_children(kind)),
            Err(error) => Err(Error::new(Cause::ManifestInvalid, "read manifest", error.to_string())),
        }
    }

    const fn without_children(kind: Kind) -> Self {
        Self {
            kind,
            config: None,
            layers: Vec::new(),
            manifests: Vec::new(),
            subject: None,
            artifact_type: None,
        }
    }

    fn members(kind: Kind, bytes: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Members<'a> {
            #[serde(borrow)]
            config: Option<&'a RawValue>,
            #[serde(borrow)]
            layers: Option<Vec<&'a RawValue>>,
            #[serde(borrow)]
            blobs: Option<Vec<&'a RawValue>>,
            #[serde(borrow)]
            manifests: Option<Vec<&'a RawValue>>,
            #[serde(borrow)]
            subject: Option<&'a RawValue>,
            artifact_type: Option<String>,
        }
        let members: Members<'_> = serde_json::from_slice(bytes)?;
        let all = |raw: Option<Vec<&RawValue>>| {
            raw.unwrap_or_default().into_iter().map(Descriptor::read).collect::<Result<Vec<_>, _>>()
        };
        let mut layers = all(members.layers)?;
        layers.extend(all(members.blobs)?);
        Ok(Self {
            kind,
            config: members.config.map(Descriptor::read).transpose()?,
            layers,
            manifests: all(members.manifests)?,
            subject: members.subject.map(Descriptor::read).transpose()?,
            artifact_type: members.artifact_type,
        })
    }

    /// The blobs that the registry must have, each once: the configuration, then the layers that are not foreign.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let mut seen = HashSet::new();
        self.config
            .iter()
            .chain(self.layers.iter().filter(|layer| !layer.is_foreign()))
            .filter(move |blob| seen.insert(&blob.digest))
    }

    /// The layers that the registry may not have, each once.
    pub fn foreign(&self) -> impl Iterator<Item = &Descriptor> {
        let mut seen = HashSet::new();
        self.layers.iter().filter(|layer| layer.is_foreign()).filter(move |layer| seen.insert(&layer.digest))
    }
}

fn kind_of(media_type: &str) -> Option<Kind> {
    match media_type {
        OCI_IMAGE | DOCKER_IMAGE => Some(Kind::Image),
        OCI_INDEX | DOCKER_LIST => Some(Kind::Index),
        OCI_ARTIFACT => Some(Kind::Artifact),
        SCHEMA_1 | SCHEMA_1_SIGNED => Some(Kind::Schema1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Content, Kind};
    use crate::{
        Algorithm, Digest,
        error::Cause,
        manifest::{DOCKER_LIST, OCI_ARTIFACT, OCI_IMAGE, OCI_INDEX, SCHEMA_1_SIGNED},
    };

    fn descriptor(text: &str) -> String {
        let digest = Digest::of(Algorithm::Sha256, text.as_bytes());
        format!(r#"{{"mediaType":"{text}","digest":"{digest}","size":{}}}"#, text.len())
    }

    fn read(media_type: &str, text: &str) -> Content {
        Content::read(media_type, text.as_bytes()).unwrap()
    }

    #[test]
    fn reads_an_image() {
        let (config, layer, subject) = (descriptor("config"), descriptor("layer"), descriptor("subject"));
        let text = format!(
            r#"{{"config":{config},"layers":[{layer},{layer}],"subject":{subject},"artifactType":"t","more":[1]}}"#
        );
        let content = read(OCI_IMAGE, &text);
        assert_eq!(content.kind, Kind::Image);
        assert_eq!(content.layers.len(), 2);
        assert_eq!(
            content.blobs().map(|blob| blob.media_type.as_str()).collect::<Vec<_>>(),
            ["config", "layer"]
        );
        assert_eq!(content.subject.unwrap().raw(), subject);
        assert_eq!(content.artifact_type.as_deref(), Some("t"));
    }

    #[test]
    fn reads_an_index_and_an_empty_one() {
        let text = format!(r#"{{"manifests":[{},{}]}}"#, descriptor("one"), descriptor("other"));
        assert_eq!(read(DOCKER_LIST, &text).manifests.len(), 2);
        assert!(read(OCI_INDEX, r#"{"manifests":null}"#).manifests.is_empty());
        assert_eq!(read(OCI_ARTIFACT, &format!(r#"{{"blobs":[{}]}}"#, descriptor("a"))).layers.len(), 1);
    }

    #[test]
    fn leaves_out_foreign_layers() {
        let urls = descriptor("layer").replace("\"size\"", "\"urls\":[\"https://elsewhere/x\"],\"size\"");
        let kept = descriptor("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
        let content = read(OCI_IMAGE, &format!(r#"{{"layers":[{urls},{kept}]}}"#));
        assert!(content.layers.iter().all(super::Descriptor::is_foreign));
        assert_eq!(content.blobs().count(), 0);
    }

    #[test]
    fn names_what_it_does_not_read() {
        assert_eq!(read(SCHEMA_1_SIGNED, r#"{"fsLayers":[]}"#).kind, Kind::Schema1);
        assert_eq!(read("application/x-thing", "no json").kind, Kind::Unknown);
        let odd = read("application/x-thing", &format!(r#"{{"layers":[{}]}}"#, descriptor("layer")));
        assert_eq!((odd.kind, odd.layers.len()), (Kind::Unknown, 1));
    }

    #[test]
    fn finds_the_kind_in_the_bytes() {
        let text = format!(r#"{{"mediaType":"{OCI_INDEX}","manifests":[{}]}}"#, descriptor("one"));
        assert_eq!(read("text/plain", &text).kind, Kind::Index);
        assert_eq!(read("application/vnd.oci.image.index.v1+json; charset=utf-8", "{}").kind, Kind::Index);
    }

    /// Clients differ in which of the two they read, so both count.
    #[test]
    fn takes_children_of_both_forms() {
        let text = format!(r#"{{"layers":[{}],"manifests":[{}]}}"#, descriptor("layer"), descriptor("one"));
        let content = read(OCI_IMAGE, &text);
        assert_eq!((content.layers.len(), content.manifests.len()), (1, 1));
    }

    #[test]
    fn refuses_what_names_nothing_that_can_be_verified() {
        let digest = Digest::of(Algorithm::Sha256, b"");
        for text in [
            "",
            "[]",
            r#"{"layers":1}"#,
            r#"{"layers":[1]}"#,
            r#"{"layers":[{"digest":"sha256:1","size":1}]}"#,
            &format!(r#"{{"layers":[{{"digest":"{digest}","size":-1}}]}}"#),
            &format!(r#"{{"layers":[{{"digest":"{digest}"}}]}}"#),
            r#"{"layers":[],"layers":[]}"#,
        ] {
            let refused = Content::read(OCI_IMAGE, text.as_bytes()).expect_err(text);
            assert_eq!(refused.cause, Cause::ManifestInvalid, "{text}");
        }
    }

    proptest! {
        #[test]
        fn survives_any_bytes(bytes: Vec<u8>, deep in 0_usize..2_000) {
            let _ = Content::read(OCI_IMAGE, &bytes);
            let nested = ["{\"config\":".repeat(deep).as_bytes(), &bytes].concat();
            let _ = Content::read(OCI_IMAGE, &nested);
        }
    }
}
