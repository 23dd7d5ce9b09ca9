//! Two local registries with journals, and the command between them.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result, ensure};
use local::local_registry::{
    Distribution, DistributionConfig, Kind, MadeUp, Personality, Record,
    digest::Digest,
    storage::{ImageOptions, Storage},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::run::Run;

/// A source and a target in this process, and a state directory.
pub struct Pair {
    /// What is read.
    pub source: Distribution,
    /// What is written.
    pub target: Distribution,
    folder: TempDir,
    runs: AtomicU32,
}

impl Pair {
    /// Starts both, empty.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn start(from: Personality, to: Personality) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        // The database runs as another account where this is root.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let start = async |personality, name: &str| {
            let mut config = DistributionConfig::new(personality, folder.path().join(name));
            config.name = name.to_owned();
            Distribution::start(config).await
        };
        let (source, target) = (start(from, "source").await?, start(to, "target").await?);
        Ok(Self { source, target, folder, runs: AtomicU32::new(0) })
    }

    /// The state directory of all runs.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Begins a run.
    ///
    /// # Errors
    /// [`Run::begin`].
    pub fn begin(&self, more: &[&str]) -> Result<Run> {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        let output = self.folder.path().join(format!("run-{number}.txt"));
        Run::begin(&self.source.url(), &self.target.url(), &self.state(), output, more)
    }

    /// Puts an image with these layers into the source.
    ///
    /// # Errors
    /// When the storage cannot be written.
    pub fn image(&self, repository: &str, tag: &str, seed: u64, layers: &[usize]) -> Result<()> {
        let options = ImageOptions { layers: layers.to_vec(), ..ImageOptions::small(seed) };
        self.source.storage().write_image(repository, &[tag], &options)?;
        Ok(())
    }

    /// Puts an image with just these layers into the source.
    ///
    /// # Errors
    /// When the storage cannot be written.
    pub fn composed_image(&self, repository: &str, tag: &str, layers: &[&[u8]]) -> Result<()> {
        let storage = self.source.storage();
        let put = |content: &[u8]| {
            let digest = storage.put_blob(content)?;
            storage.link_layer(repository, &digest)?;
            anyhow::Ok(json!({"digest": digest, "size": content.len()}))
        };
        let mut named = Vec::new();
        for layer in layers {
            let mut layer = put(layer)?;
            layer["mediaType"] = "application/vnd.oci.image.layer.v1.tar".into();
            named.push(layer);
        }
        let mut config = put(json!({"tag": tag, "layers": named}).to_string().as_bytes())?;
        config["mediaType"] = "application/vnd.oci.image.config.v1+json".into();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config,
            "layers": named,
        });
        let digest = storage.put_manifest(repository, manifest.to_string().as_bytes())?;
        Ok(storage.put_tag(repository, tag, &digest)?)
    }

    /// Puts an image into the source whose one layer is made up when it is read, and takes no room. The layer's digest.
    ///
    /// # Errors
    /// When the storage cannot be written.
    pub fn made_up_image(&self, repository: &str, tag: &str, layer: MadeUp) -> Result<Digest> {
        let digest = self.source.add_made_up_layer(repository, layer)?;
        let storage = self.source.storage();
        let config = json!({"made up from": layer.seed}).to_string();
        let config_digest = storage.put_blob(config.as_bytes())?;
        storage.link_layer(repository, &config_digest)?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": config_digest,
                "size": config.len(),
            },
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": digest,
                "size": layer.bytes,
            }],
        });
        self.source.put_any_manifest(repository, Some(tag), manifest.to_string().as_bytes())?;
        Ok(digest)
    }

    /// What the last run's proof says, a row each.
    ///
    /// # Errors
    /// When there is none.
    pub fn proof(&self) -> Result<Vec<Value>> {
        let text = fs::read_to_string(self.state().join("proof.ndjson")).context("no proof")?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// The requests to the target about a repository.
    pub fn requests(&self, repository: &str) -> Vec<Record> {
        let mut records = self.target.traffic().records();
        records.retain(|record| record.repository.as_deref() == Some(repository));
        records
    }

    /// How many bytes of blobs a repository of the target was sent, and how many of these it has under a digest.
    ///
    /// # Errors
    /// When the storage cannot be read.
    pub fn sent_and_stored(&self, repository: &str) -> Result<(u64, u64)> {
        let (mut sent, mut stored) = (0, 0);
        for record in self.requests(repository) {
            if matches!(record.kind, Kind::Upload | Kind::UploadBegin | Kind::Mount) {
                sent += record.received;
            }
            if let Some(digest) = record.stored {
                stored += self.size(&digest.parse()?)?;
            }
        }
        Ok((sent, stored))
    }

    fn size(&self, digest: &Digest) -> Result<u64> {
        let size = self.target.storage().blob_size(digest)?;
        size.with_context(|| format!("the target has no {digest}"))
    }

    /// Every tag, manifest and blob of the source is at the target, with the same bytes; no repository was sent a blob
    /// twice; and the proof says that each tag is equal.
    ///
    /// # Errors
    /// What is not so.
    pub fn check_equal(&self) -> Result<()> {
        let (source, target) = (self.source.storage(), self.target.storage());
        let mut tags = BTreeSet::new();
        for path in source.repositories()? {
            let of_source = source.tags(&path)?;
            ensure!(of_source == target.tags(&path)?, "{path}: other tags");
            tags.extend(of_source.into_keys().map(|tag| (path.clone(), tag)));
            for digest in source.revisions(&path)? {
                ensure!(target.has_manifest(&path, &digest)?, "{path}: no manifest {digest}");
                ensure!(source.read_blob(&digest)? == target.read_blob(&digest)?, "{path}: another {digest}");
            }
            for digest in layers(&source, &path)? {
                let digest: Digest = format!("sha256:{digest}").parse()?;
                ensure!(target.has_layer(&path, &digest)?, "{path}: no blob {digest}");
                ensure!(Digest::of(&target.read_blob(&digest)?) == digest, "{path}: another {digest}");
            }
        }
        let stored = self.target.traffic().blobs_stored();
        let once: BTreeSet<_> = stored.iter().collect();
        ensure!(once.len() == stored.len(), "a repository was sent a blob twice: {stored:?}");
        let mut proven = BTreeSet::new();
        for row in self.proof()? {
            ensure!(row["state"] == "equal", "{row}");
            let of = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            proven.insert((of("source"), of("tag")));
        }
        ensure!(proven == tags, "the proof has other tags: {proven:?}");
        Ok(())
    }
}

/// The digests (without their algorithm) of the blobs that a repository has.
///
/// # Errors
/// When the storage cannot be read.
pub fn layers(storage: &Storage, repository: &str) -> Result<BTreeSet<String>> {
    let folder =
        storage.root().join("docker/registry/v2/repositories").join(repository).join("_layers/sha256");
    let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.collect()
}
