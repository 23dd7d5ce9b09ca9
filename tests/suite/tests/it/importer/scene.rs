//! A source, a target, and an importer between them.

use std::{sync::Arc, time::Duration};

use importer::{
    Copied, Importer, MemoryCache, Report, RepositoryReport, Spread, Status, Stop, Tuning, Wiring,
};
use local::local_registry::{
    Access as RegistryAccess, Distribution, DistributionConfig, Kind, Personality, Record,
    storage::{Flavor, ImageOptions, Storage},
};
use oci::{Access, Client, ClientConfig, Credentials, Name, Profile};
use shared::{
    endpoint::Writer,
    store::importer::{ImportStatus, ImportStep, ProofRow},
};
use tempfile::TempDir;

use super::bench::Database;

/// How long anything is waited for.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn image(seed: u64, layers: &[usize], architectures: &[&str], flavor: Flavor) -> ImageOptions {
    ImageOptions {
        seed,
        layers: layers.to_vec(),
        architectures: architectures.iter().map(|name| (*name).to_owned()).collect(),
        flavor,
    }
}

pub struct Scene {
    pub source: Distribution,
    pub target: Distribution,
    pub database: Database,
    pub tuning: Tuning,
    /// How each registry is spoken to.
    pub clients: [ClientConfig; 2],
    _folders: [TempDir; 2],
}

impl Scene {
    pub async fn new(target: Personality) -> Self {
        Self::between(Personality::Distribution2, target).await
    }

    pub async fn between(from: Personality, to: Personality) -> Self {
        Self::guarded([(from, RegistryAccess::Open), (to, RegistryAccess::Open)]).await
    }

    /// With registries that do not let everybody in.
    pub async fn guarded([from, to]: [(Personality, RegistryAccess); 2]) -> Self {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let start =
            async |(personality, access): &(Personality, RegistryAccess), name: &str, folder: &TempDir| {
                let mut config = DistributionConfig::new(*personality, folder.path());
                config.name = name.to_owned();
                config.access = access.clone();
                Distribution::start(config).await.unwrap()
            };
        let (source, target) =
            (start(&from, "source", &folders[0]).await, start(&to, "target", &folders[1]).await);
        let clients = [client(&source, &from, Access::Pull), client(&target, &to, Access::Push)];
        Self {
            source,
            target,
            database: Database::new().await,
            tuning: Tuning {
                part: 256 << 10,
                heartbeat: Duration::from_millis(300),
                patience: Duration::from_secs(10),
                ..Tuning::default()
            },
            clients,
            _folders: folders,
        }
    }

    /// What a process of its own would have, that knows of no other: of an earlier one only the rows are left.
    pub async fn importer(&self) -> Importer {
        let importer = self.importer_beside_others().await;
        importer.prepare(true).await.unwrap();
        importer
    }

    /// The same while others live.
    pub async fn importer_beside_others(&self) -> Importer {
        let connections = vec![self.database.connection(), self.database.connection()];
        Importer::new(Wiring {
            writer: Writer::new(Spread::new(connections)),
            source: Client::new(self.clients[0].clone()).unwrap(),
            target: Client::new(self.clients[1].clone()).unwrap(),
            cache: Arc::new(MemoryCache::default()),
            tuning: self.tuning.clone(),
        })
    }

    /// Every repository of the source, to the same name.
    pub fn names(&self) -> Vec<(Name, Name)> {
        let names = self.source.storage().repositories().unwrap();
        names.iter().map(|name| (Name::parse(name).unwrap(), Name::parse(name).unwrap())).collect()
    }

    /// Copies all by a new process.
    pub async fn run(&self) -> Report {
        self.importer().await.run(&self.names(), &Stop::new()).await.unwrap()
    }

    /// Copies one repository by both steps, beside others.
    pub async fn copy(&self, path: &str) -> Option<ImportStatus> {
        let (importer, name) = (self.importer_beside_others().await, Name::parse(path).unwrap());
        let mut ended = None;
        for step in [ImportStep::Pre, ImportStep::Final] {
            assert!(importer.start(&name, &name, step).await.unwrap(), "{path}: {step:?} is not started");
            match importer.copy(path, &Stop::new()).await.unwrap() {
                Copied::Ended(status) => ended = Some(status),
                other => panic!("{path}: {other:?}"),
            }
            if ended == Some(ImportStatus::PreImportFailed) {
                break;
            }
        }
        ended
    }

    pub async fn proof(&self) -> Vec<ProofRow> {
        self.importer_beside_others().await.proof(None).await.unwrap()
    }

    /// Both storages hold the same tags, manifests and blobs.
    pub fn assert_equal(&self) {
        let (source, target) = (self.source.storage(), self.target.storage());
        for path in source.repositories().unwrap() {
            assert_eq!(source.tags(&path).unwrap(), target.tags(&path).unwrap(), "{path}");
            for digest in source.revisions(&path).unwrap() {
                assert!(target.has_manifest(&path, &digest).unwrap(), "{path}@{digest}");
                assert_eq!(source.read_blob(&digest).unwrap(), target.read_blob(&digest).unwrap());
            }
        }
        assert_eq!(layers(&source), layers(&target));
    }

    pub fn image(&self, path: &str, tags: &[&str], options: &ImageOptions) -> String {
        self.source.storage().write_image(path, tags, options).unwrap().to_string()
    }

    /// The one layer of an image, by the digest of its manifest.
    pub fn layer_of(&self, manifest: &str) -> String {
        let manifest = self.source.storage().read_blob(&manifest.parse().unwrap()).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        manifest["layers"][0]["digest"].as_str().unwrap().to_owned()
    }

    /// Both have the same tags, whatever else the target has.
    pub fn assert_equal_tags(&self) {
        let (source, target) = (self.source.storage(), self.target.storage());
        for path in source.repositories().unwrap() {
            assert_eq!(source.tags(&path).unwrap(), target.tags(&path).unwrap(), "{path}");
        }
    }

    /// The target has each tag of the source with the source's bytes, whatever else it has.
    pub fn assert_equal_to_source(&self) {
        let (source, target) = (self.source.storage(), self.target.storage());
        for path in source.repositories().unwrap() {
            let there = target.tags(&path).unwrap();
            for (tag, digest) in source.tags(&path).unwrap() {
                assert_eq!(there.get(&tag), Some(&digest), "{path}:{tag}");
                assert_eq!(
                    source.read_blob(&digest).unwrap(),
                    target.read_blob(&digest).unwrap(),
                    "{path}:{tag}"
                );
            }
        }
    }

    /// Forgets every row.
    pub async fn forget(&self) {
        self.database.sql("TRUNCATE imports, import_slots, import_uploads, import_blobs, import_tags").await;
    }
}

fn profile(personality: Personality) -> Profile {
    match personality {
        Personality::Distribution2 => Profile::Distribution2,
        Personality::Distribution3 => Profile::Distribution3,
    }
}

fn client(
    registry: &Distribution,
    (personality, guard): &(Personality, RegistryAccess),
    access: Access,
) -> ClientConfig {
    let credentials = match guard {
        RegistryAccess::Open => Credentials::Anonymous,
        RegistryAccess::Basic { user, password } | RegistryAccess::Bearer { user, password, .. } => {
            Credentials::Basic { user: user.clone(), password: password.clone() }
        }
    };
    ClientConfig {
        profile: profile(*personality),
        access,
        credentials,
        ..ClientConfig::new(registry.url().parse().unwrap())
    }
}

/// Which blobs each repository has.
pub fn layers(storage: &Storage) -> Vec<(String, Vec<String>)> {
    storage
        .repositories()
        .unwrap()
        .into_iter()
        .map(|path| {
            let folder =
                storage.root().join("docker/registry/v2/repositories").join(&path).join("_layers/sha256");
            let mut names: Vec<String> = std::fs::read_dir(folder)
                .map(|all| all.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
                .unwrap_or_default();
            names.sort();
            (path, names)
        })
        .collect()
}

pub fn complete(report: &Report) -> bool {
    report.repositories.iter().all(|of: &RepositoryReport| of.status == Status::Complete)
}

pub fn is_blob_read(record: &Record) -> bool {
    record.kind == Kind::Blob && record.method == "GET"
}
