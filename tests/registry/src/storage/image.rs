//! Building real images: layers with files in them, a config, a manifest, an index for several platforms.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::error::At;
use super::manifest::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};
use super::{Storage, StorageError};
use crate::digest::Digest;

/// Whose media types an image uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavor {
    /// The Open Container Initiative's.
    Oci,
    /// Docker's, schema 2.
    Docker,
}

/// What an image is to look like. The same options always give the same digests.
#[derive(Debug, Clone)]
pub struct ImageOptions {
    /// What its content is made from; different seeds give different images.
    pub seed: u64,
    /// The approximate size of each layer in bytes, packed; one layer each.
    pub layers: Vec<usize>,
    /// One image for each architecture (`amd64`, `arm64`, …). More than one makes an index.
    pub architectures: Vec<String>,
    /// Whose media types to use.
    pub flavor: Flavor,
}

impl ImageOptions {
    /// A small image: one architecture, one layer of about 1 KiB.
    pub fn small(seed: u64) -> Self {
        Self { seed, layers: vec![1024], architectures: vec!["amd64".to_owned()], flavor: Flavor::Oci }
    }

    fn media_types(&self) -> [&'static str; 4] {
        match self.flavor {
            Flavor::Oci => [
                OCI_MANIFEST,
                OCI_INDEX,
                "application/vnd.oci.image.config.v1+json",
                "application/vnd.oci.image.layer.v1.tar+gzip",
            ],
            Flavor::Docker => [
                DOCKER_MANIFEST,
                DOCKER_LIST,
                "application/vnd.docker.container.image.v1+json",
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
            ],
        }
    }
}

impl Storage {
    /// Writes an image into the container repository `path`, tags it, and says the digest the tags name.
    pub fn write_image(
        &self,
        path: &str,
        tags: &[&str],
        options: &ImageOptions,
    ) -> Result<Digest, StorageError> {
        let [manifest_type, index_type, ..] = options.media_types();
        let mut manifests = Vec::new();
        for (number, architecture) in options.architectures.iter().enumerate() {
            let seed = options.seed.wrapping_add(number as u64 * 0x9E37_79B9);
            let (digest, size) = self.write_manifest(path, architecture, seed, options)?;
            let platform = json!({"architecture": architecture, "os": "linux"});
            manifests.push(
                json!({"mediaType": manifest_type, "digest": digest, "size": size, "platform": platform}),
            );
        }
        let top = match manifests.as_slice() {
            [only] => only["digest"].clone(),
            _ => {
                let index = json!({"schemaVersion": 2, "mediaType": index_type, "manifests": manifests});
                json!(self.put_manifest(path, index.to_string().as_bytes())?)
            }
        };
        let digest: Digest = serde_json::from_value(top).map_err(std::io::Error::from).at(self.root())?;
        for tag in tags {
            self.put_tag(path, tag, &digest)?;
        }
        Ok(digest)
    }

    fn write_manifest(
        &self,
        path: &str,
        architecture: &str,
        seed: u64,
        options: &ImageOptions,
    ) -> Result<(Digest, usize), StorageError> {
        let [manifest_type, _, config_type, layer_type] = options.media_types();
        let mut random = StdRng::seed_from_u64(seed);
        let (mut layers, mut diff_ids, mut history) = (Vec::new(), Vec::new(), Vec::new());
        for (number, size) in options.layers.iter().enumerate() {
            let tar = layer_tar(&mut random, number, *size).at(self.root())?;
            let packed = gzip(&tar).at(self.root())?;
            let digest = self.put_linked(path, &packed)?;
            diff_ids.push(Digest::of(&tar));
            layers.push(json!({"mediaType": layer_type, "digest": digest, "size": packed.len()}));
            history.push(json!({"created": EPOCH, "created_by": format!("COPY layer-{number} /")}));
        }
        let config = json!({
            "created": EPOCH,
            "architecture": architecture,
            "os": "linux",
            "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/app"], "Labels": {"seed": seed.to_string()}},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": history,
        })
        .to_string();
        let config_digest = self.put_linked(path, config.as_bytes())?;
        let config: Value = json!({"mediaType": config_type, "digest": config_digest, "size": config.len()});
        let manifest =
            json!({"schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": layers})
                .to_string();
        Ok((self.put_manifest(path, manifest.as_bytes())?, manifest.len()))
    }

    fn put_linked(&self, path: &str, content: &[u8]) -> Result<Digest, StorageError> {
        let digest = self.put_blob(content)?;
        self.link_layer(path, &digest)?;
        Ok(digest)
    }
}

const EPOCH: &str = "1970-01-01T00:00:00Z";

/// A root file system of a few files, mostly incompressible so that the packed layer has the size asked for.
fn layer_tar(random: &mut StdRng, number: usize, size: usize) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let text = format!("layer {number}\n").repeat(16);
    let mut noise = vec![0; size];
    random.fill(&mut noise[..]);
    for (name, mode, content) in [
        (format!("etc/layer-{number}"), 0o644, text.as_bytes()),
        (format!("bin/app-{number}"), 0o755, noise.as_slice()),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        header.set_mtime(0);
        archive.append_data(&mut header, name, content)?;
    }
    archive.into_inner()
}

fn gzip(content: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content)?;
    encoder.finish()
}
