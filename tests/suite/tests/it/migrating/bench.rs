//! Two registries that others wrote, the command between them, and skopeo to look from outside.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use local::{
    built_functions,
    local_registry::storage::{ImageOptions, Storage},
    workspace,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take that is waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Debian's docker-registry on a storage, until it is dropped.
pub struct DockerRegistry {
    pub address: String,
    pub storage: PathBuf,
    process: Child,
}

impl DockerRegistry {
    pub fn start(storage: &Path) -> Self {
        Self::start_with(storage, "", "")
    }

    /// The same with more members of `http`, and more of all.
    pub fn start_with(storage: &Path, http: &str, more: &str) -> Self {
        fs::create_dir_all(storage).unwrap();
        let file = |kind: &str| storage.with_extension(kind);
        let config = format!(
            "version: 0.1\nstorage:\n  filesystem: {{rootdirectory: {:?}}}\n  delete: {{enabled: true}}\nhttp: {{addr: \"127.0.0.1:0\"{http}}}\n{more}",
            storage.display().to_string()
        );
        fs::write(file("yml"), config).unwrap();
        let log = fs::File::create(file("log")).unwrap();
        let process = Command::new(program("docker-registry"))
            .arg("serve")
            .arg(file("yml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        let said = || {
            let log = fs::read_to_string(file("log")).unwrap();
            let (_, rest) = log.split_once("listening on ")?;
            Some(rest.split(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').next()?.to_owned())
        };
        let deadline = Instant::now() + PATIENCE;
        let address = loop {
            if let Some(address) = said() {
                break address;
            }
            assert!(Instant::now() < deadline, "docker-registry does not start");
            std::thread::sleep(Duration::from_millis(20));
        };
        Self { address, storage: storage.to_owned(), process }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where a blob of it lies, manifests among them.
    pub fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").unwrap();
        self.storage.join("docker/registry/v2/blobs/sha256").join(&hex[..2]).join(hex).join("data")
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A program that `tests/setup.sh` provides.
fn program(name: &str) -> PathBuf {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    folders.push(workspace().join("target/tools/docker-registry/usr/bin"));
    let found = folders.into_iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not there: run tests/setup.sh"))
}

fn skopeo(arguments: &[&str]) -> Output {
    let ended = Command::new(program("skopeo")).arg("--insecure-policy").args(arguments).output().unwrap();
    assert!(ended.status.success(), "skopeo {arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
    ended
}

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
    pub source: DockerRegistry,
    pub target: DockerRegistry,
}

impl Bench {
    /// With these images in the source: repository, tag, options. skopeo pushes them.
    pub fn start(images: &[(&str, &str, ImageOptions)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The database runs as another account where this is root.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let [made, source, target] =
            ["made", "source", "target"].map(|name| DockerRegistry::start(&folder.path().join(name)));
        let storage = Storage::new(&made.storage);
        for (repository, tag, options) in images {
            storage.write_image(repository, &[tag], options).unwrap();
        }
        let bench = Self { folder, source, target };
        for (repository, tag, _) in images {
            bench.push(&made, repository, tag);
        }
        bench
    }

    fn push(&self, from: &DockerRegistry, repository: &str, tag: &str) {
        let [from, to] =
            [from, &self.source].map(|registry| format!("docker://{}/{repository}:{tag}", registry.address));
        let plain = ["--src-tls-verify=false", "--dest-tls-verify=false"];
        skopeo(&[&["copy", "--quiet", "--all", "--preserve-digests"][..], &plain, &[&from, &to]].concat());
    }

    /// A tag's raw manifest, as skopeo reads it.
    pub fn raw(registry: &DockerRegistry, repository: &str, tag: &str) -> Vec<u8> {
        let image = format!("docker://{}/{repository}:{tag}", registry.address);
        skopeo(&["inspect", "--tls-verify=false", "--raw", &image]).stdout
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

/// The program, with nothing of the caller's that could be credentials.
pub fn command() -> Command {
    let mut command = Command::new(built_functions().unwrap().join("registry-migration"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("REGISTRY_") {
            command.env_remove(name);
        }
    }
    command.env("DOCKER_CONFIG", "/nonexistent").env_remove("XDG_RUNTIME_DIR").stdin(Stdio::null());
    command
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
