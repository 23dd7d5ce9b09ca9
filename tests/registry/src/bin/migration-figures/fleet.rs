//! The fleet that tools are compared on, written into a registry's storage: always the same.

use std::path::Path;

use anyhow::ensure;
use local_registry::{digest::Digest, storage::Storage};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

const REPOSITORIES: usize = 40;
/// Tagged images of one platform, and indexes or lists of two. These hold the images `index * 2` and the next one.
const SINGLE: usize = 390;
const INDEXES: usize = 120;
const IMAGES: usize = SINGLE + 2 * INDEXES;
/// Indexes that hold an index.
const NESTED: usize = 10;
/// Tags that lead where another one does.
const ALIASES: usize = 42;
const SIGNATURES: usize = 39;
/// Subjects with two referrers each. The lists of these stand under tags, as in any registry without a list of referrers.
const SUBJECTS: usize = 23;

/// Layers that several repositories have, and how many times a repository has one.
const BASES: usize = 10;
const BASE_LINKS: usize = 99;
const BASE_BYTES: usize = 13_760_000;
/// Layers that one image alone has: two, and one in the first of the images.
const ONE_LAYER: usize = 138;
const OWN: usize = 2 * IMAGES - ONE_LAYER;
const LARGEST: usize = 300_000_000;
const ALL_LAYERS: usize = 1_011_400_000;

/// The layers of the repository of 5 GB.
const GIANT: [usize; 4] = [2_000_000_000, 1_500_000_000, 1_000_000_000, 500_000_000];

const OCI: &str = "application/vnd.oci.image";
const DOCKER: &str = "application/vnd.docker";

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    pub repositories: usize,
    pub tags: usize,
    pub manifests: usize,
    /// Distinct ones, configurations among them.
    pub blobs: usize,
    pub bytes: u64,
}

/// A storage that counts what is written into it.
struct Maker {
    storage: Storage,
    fleet: Fleet,
    /// What layers are made of, each behind a head of its own.
    noise: Vec<u8>,
}

impl Maker {
    fn new(folder: &Path) -> Self {
        let mut noise = vec![0; 1 << 20];
        StdRng::seed_from_u64(7).fill(&mut noise[..]);
        Self { storage: Storage::new(folder), fleet: Fleet::default(), noise }
    }

    fn blob(&mut self, content: &[u8]) -> anyhow::Result<Blob> {
        let digest = self.storage.put_blob(content)?;
        self.fleet.blobs += 1;
        self.fleet.bytes += content.len() as u64;
        Ok(Blob { digest, size: content.len() })
    }

    fn layer(&mut self, name: &str, size: usize) -> anyhow::Result<Blob> {
        let mut content = format!("{name:-<64}").into_bytes();
        while content.len() < size {
            let more = self.noise.len().min(size - content.len());
            content.extend_from_slice(&self.noise[..more]);
        }
        content.truncate(size);
        self.blob(&content)
    }

    fn manifest(&mut self, repository: &str, content: &Value, blobs: &[&Blob]) -> anyhow::Result<Blob> {
        for blob in blobs {
            self.storage.link_layer(repository, &blob.digest)?;
        }
        let bytes = serde_json::to_vec_pretty(content)?;
        let digest = self.storage.put_any_manifest(repository, &bytes)?;
        self.fleet.manifests += 1;
        Ok(Blob { digest, size: bytes.len() })
    }

    fn tag(&mut self, repository: &str, tag: &str, manifest: &Blob) -> anyhow::Result<()> {
        self.fleet.tags += 1;
        Ok(self.storage.put_tag(repository, tag, &manifest.digest)?)
    }

    /// An image of these layers, with a configuration of its own.
    fn image(&mut self, repository: &str, number: usize, layers: &[Blob]) -> anyhow::Result<Blob> {
        let is_oci = is_oci(repository_of(number));
        let (manifest, config, layer) = if is_oci {
            (
                format!("{OCI}.manifest.v1+json"),
                format!("{OCI}.config.v1+json"),
                format!("{OCI}.layer.v1.tar"),
            )
        } else {
            (
                format!("{DOCKER}.distribution.manifest.v2+json"),
                format!("{DOCKER}.container.image.v1+json"),
                format!("{DOCKER}.image.rootfs.diff.tar"),
            )
        };
        let diffs: Vec<&Digest> = layers.iter().map(|layer| &layer.digest).collect();
        let about = json!({
            "architecture": "amd64", "os": "linux", "config": {"Labels": {"number": number}},
            "rootfs": {"type": "layers", "diff_ids": diffs}
        });
        let about = self.blob(&serde_json::to_vec(&about)?)?;
        let named: Vec<Value> = layers.iter().map(|blob| blob.named(&layer)).collect();
        let content = json!({"schemaVersion": 2, "mediaType": manifest, "config": about.named(&config), "layers": named});
        let blobs: Vec<&Blob> = layers.iter().chain([&about]).collect();
        self.manifest(repository, &content, &blobs)
    }

    fn index(&mut self, repository: &str, is_oci: bool, children: &[(&Blob, bool)]) -> anyhow::Result<Blob> {
        let (of_index, of_image) = if is_oci {
            (format!("{OCI}.index.v1+json"), format!("{OCI}.manifest.v1+json"))
        } else {
            let of = format!("{DOCKER}.distribution.manifest");
            (format!("{of}.list.v2+json"), format!("{of}.v2+json"))
        };
        let named: Vec<Value> = children
            .iter()
            .zip(["amd64", "arm64"])
            .map(|((blob, is_index), architecture)| {
                let mut named = blob.named(if *is_index { &of_index } else { &of_image });
                named["platform"] = json!({"architecture": architecture, "os": "linux"});
                named
            })
            .collect();
        let content = json!({"schemaVersion": 2, "mediaType": of_index, "manifests": named});
        self.manifest(repository, &content, &[])
    }
}

#[derive(Clone, Debug)]
struct Blob {
    digest: Digest,
    size: usize,
}

impl Blob {
    fn named(&self, media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": self.digest, "size": self.size})
    }
}

fn name_of(repository: usize) -> String {
    format!("team-{}/app-{repository:02}", repository % 7)
}

fn is_oci(repository: usize) -> bool {
    repository.is_multiple_of(2)
}

/// Which repository an image is of. Those of one index stand beside each other.
fn repository_of(image: usize) -> usize {
    if image < 2 * INDEXES { image / 2 % REPOSITORIES } else { image % REPOSITORIES }
}

/// How large the layers of single images are: many small ones and a few large ones.
fn own_sizes() -> Vec<usize> {
    let weights = [1, 2, 4, 9, 25, 60, 3, 7, 140, 15];
    let all: usize = (1..OWN).map(|number| weights[number % weights.len()]).sum();
    let bytes = ALL_LAYERS - LARGEST - BASES * BASE_BYTES;
    let sizes = (1..OWN).map(|number| bytes / all * weights[number % weights.len()]);
    std::iter::once(LARGEST).chain(sizes).collect()
}

/// Writes the fleet: 40 repositories, 624 tags, 868 manifests, 1,887 distinct blobs of 1,012 MB.
pub fn write(folder: &Path) -> anyhow::Result<Fleet> {
    let mut maker = Maker::new(folder);
    let bases: Vec<Blob> = (0..BASES)
        .map(|number| maker.layer(&format!("base {number}"), BASE_BYTES))
        .collect::<Result<_, _>>()?;
    let mut sizes = own_sizes().into_iter().enumerate();
    let mut images = Vec::with_capacity(IMAGES);
    for number in 0..IMAGES {
        let repository = repository_of(number);
        // Two or three bases a repository, its images by turns.
        let has = BASE_LINKS / REPOSITORIES + usize::from(repository < BASE_LINKS % REPOSITORIES);
        let base = (repository * 3 + number / REPOSITORIES % has) % BASES;
        let mut layers = vec![bases[base].clone()];
        for _ in 0..if number < ONE_LAYER { 1 } else { 2 } {
            let Some((own, size)) = sizes.next() else { break };
            layers.push(maker.layer(&format!("own {own}"), size)?);
        }
        images.push(maker.image(&name_of(repository), number, &layers)?);
    }
    let mut indexes = Vec::with_capacity(INDEXES);
    for number in 0..INDEXES {
        let repository = repository_of(2 * number);
        let name = name_of(repository);
        let children = [(&images[2 * number], false), (&images[2 * number + 1], false)];
        let index = maker.index(&name, is_oci(repository), &children)?;
        maker.tag(&name, &format!("multi-{number}"), &index)?;
        indexes.push(index);
    }
    for (number, image) in images.iter().enumerate().skip(2 * INDEXES) {
        maker.tag(&name_of(repository_of(number)), &format!("v{number}"), image)?;
    }
    for number in 0..ALIASES {
        let image = 2 * INDEXES + number;
        maker.tag(&name_of(repository_of(image)), &format!("alias-{number}"), &images[image])?;
    }
    for (number, index) in indexes.iter().enumerate().take(NESTED) {
        // Of a repository of each kind.
        let name = name_of(number);
        let nested = maker.index(&name, is_oci(number), &[(index, true)])?;
        maker.tag(&name, &format!("nested-{number}"), &nested)?;
    }
    for number in 0..SIGNATURES {
        let signed = &images[2 * INDEXES + number];
        sign(&mut maker, &name_of(repository_of(2 * INDEXES + number)), number, signed)?;
    }
    let empty = maker.blob(b"{}")?;
    for number in 0..SUBJECTS {
        let subject = &images[SINGLE + number];
        refer(&mut maker, &name_of(repository_of(SINGLE + number)), number, subject, &empty)?;
    }
    maker.fleet.repositories = REPOSITORIES;
    let Fleet { tags, manifests, blobs, .. } = maker.fleet;
    ensure!((tags, manifests, blobs) == (624, 868, 1887), "another fleet was made: {:?}", maker.fleet);
    Ok(maker.fleet)
}

/// A signature as cosign keeps it: an image under a tag that is named for what is signed.
fn sign(maker: &mut Maker, repository: &str, number: usize, signed: &Blob) -> anyhow::Result<()> {
    let payload = maker
        .blob(format!(r#"{{"critical":{{"image":"{}","number":{number}}}}}"#, signed.digest).as_bytes())?;
    let config = maker.blob(format!(r#"{{"rootfs":{{"diff_ids":["{}"]}}}}"#, payload.digest).as_bytes())?;
    let content = json!({
        "schemaVersion": 2, "mediaType": format!("{OCI}.manifest.v1+json"),
        "config": config.named(&format!("{OCI}.config.v1+json")),
        "layers": [payload.named("application/vnd.dev.cosign.simplesigning.v1+json")]
    });
    let signature = maker.manifest(repository, &content, &[&payload, &config])?;
    maker.tag(repository, &format!("sha256-{}.sig", signed.digest.hex()), &signature)
}

/// Two referrers of an image, and the list of them.
fn refer(
    maker: &mut Maker,
    repository: &str,
    number: usize,
    subject: &Blob,
    empty: &Blob,
) -> anyhow::Result<()> {
    let of_image = format!("{OCI}.manifest.v1+json");
    let mut list = Vec::new();
    for kind in ["sbom", "provenance"] {
        let payload = maker.blob(format!(r#"{{"kind":"{kind}","number":{number}}}"#).as_bytes())?;
        let content = json!({
            "schemaVersion": 2, "mediaType": of_image, "artifactType": format!("application/vnd.example.{kind}"),
            "config": empty.named("application/vnd.oci.empty.v1+json"),
            "layers": [payload.named("application/json")], "subject": subject.named(&of_image)
        });
        let referrer = maker.manifest(repository, &content, &[&payload, empty])?;
        let mut named = referrer.named(&of_image);
        named["artifactType"] = content["artifactType"].clone();
        list.push(named);
    }
    let content = json!({"schemaVersion": 2, "mediaType": format!("{OCI}.index.v1+json"), "manifests": list});
    let index = maker.manifest(repository, &content, &[])?;
    maker.tag(repository, &format!("sha256-{}", subject.digest.hex()), &index)
}

/// Writes one repository of 5 GB: one image of four layers.
pub fn write_giant(folder: &Path) -> anyhow::Result<Fleet> {
    let mut maker = Maker::new(folder);
    let layers: Vec<Blob> = GIANT
        .iter()
        .enumerate()
        .map(|(number, size)| maker.layer(&format!("giant {number}"), *size))
        .collect::<Result<_, _>>()?;
    let image = maker.image(&name_of(0), 0, &layers)?;
    maker.tag(&name_of(0), "giant", &image)?;
    maker.fleet.repositories = 1;
    Ok(maker.fleet)
}
