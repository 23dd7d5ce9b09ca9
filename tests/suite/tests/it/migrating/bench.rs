//! Two registries that others wrote, the command between them, and skopeo to look from outside.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use local::local_registry::storage::{ImageOptions, Storage};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use suite::copying::{self, Program, RealRegistry};
use tempfile::TempDir;

/// How long anything may take that is waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Flips the last byte of a file.
pub fn flip_a_byte(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Changes one digit of the first digest in a file, so that it stays JSON: this registry answers 500 for what is none.
pub fn change_a_digest(path: &Path) {
    let mut text = fs::read_to_string(path).unwrap();
    let at = text.find("sha256:").unwrap() + "sha256:".len();
    let other = if text[at..].starts_with('0') { "1" } else { "0" };
    text.replace_range(at..=at, other);
    fs::write(path, text).unwrap();
}

/// What a run came to.
#[derive(Debug)]
pub struct Ended {
    pub status: Option<i32>,
    pub output: String,
}

/// Two registries and a state directory.
pub struct Bench {
    pub folder: TempDir,
    pub source: RealRegistry,
    pub target: RealRegistry,
}

impl Bench {
    /// With these images in the source: repository, tag, options. skopeo pushes them.
    pub fn start(images: &[(&str, &str, ImageOptions)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The database runs as another account where this is root.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let start = |name| RealRegistry::start(Program::DockerRegistry, &folder.path().join(name)).unwrap();
        let [made, source, target] = ["made", "source", "target"].map(start);
        let storage = Storage::new(&made.storage);
        for (repository, tag, options) in images {
            storage.write_image(repository, &[tag], options).unwrap();
        }
        for (repository, tag, _) in images {
            source.push(&made, (repository, tag), (repository, tag)).unwrap();
        }
        Self { folder, source, target }
    }

    /// A tag's raw manifest, as skopeo reads it.
    pub fn raw(registry: &RealRegistry, repository: &str, tag: &str) -> Vec<u8> {
        registry.raw(repository, tag).unwrap()
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// `run` between the two, begun.
    pub fn begin(&self, more: &[&str]) -> Child {
        command()
            .args(["run", "--from", &self.source.url(), "--to", &self.target.url()])
            .arg("--state")
            .arg(self.state())
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// `run` between the two, to its end.
    pub fn run(&self, more: &[&str]) -> Ended {
        ended(self.begin(more))
    }

    /// The proof's rows, by repository and tag.
    pub fn proof(&self) -> BTreeMap<(String, String), Value> {
        let text = fs::read_to_string(self.state().join("proof.ndjson")).unwrap();
        let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let key = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
        rows.map(|row| ((key(&row, "source"), key(&row, "tag")), row)).collect()
    }

    /// The process id of the database's server, while there is one.
    pub fn server(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.state().join("database/data/postmaster.pid")).ok()?;
        Some(Pid::from_raw(text.lines().next()?.trim().parse().ok()?))
    }
}

/// The program.
pub fn command() -> Command {
    copying::command().unwrap()
}

/// Waits for the end.
pub fn ended(process: Child) -> Ended {
    let output = process.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    Ended { status: output.status.code(), output: String::from_utf8(text).unwrap() }
}

pub fn signal(process: &Child, signal: Signal) {
    kill(Pid::from_raw(process.id().try_into().unwrap()), signal).unwrap();
}

/// An image with layers of these sizes.
pub fn image(seed: u64, layers: &[usize]) -> ImageOptions {
    ImageOptions { layers: layers.to_vec(), ..ImageOptions::small(seed) }
}
