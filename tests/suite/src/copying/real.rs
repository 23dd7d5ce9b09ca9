//! Registries that others wrote, as processes, and skopeo to push to them and to look at them.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use local::workspace;

/// How long one may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Debian's docker-registry, which `tests/registry/unpack.sh` provides.
    DockerRegistry,
    /// Distribution 3, which `tests/registries.sh` builds.
    Distribution3,
}

impl Program {
    /// Whether this machine has it.
    #[must_use]
    pub fn is_there(self) -> bool {
        self.path().is_ok()
    }

    fn path(self) -> Result<PathBuf> {
        let tools = workspace().join("target/tools");
        match self {
            Self::DockerRegistry => find("docker-registry", &tools.join("docker-registry/usr/bin")),
            Self::Distribution3 => find("registry", &tools.join("distribution-v3.1.2")),
        }
    }
}

/// A registry on a storage, until it is dropped.
#[derive(Debug)]
pub struct RealRegistry {
    /// Its host and port.
    pub address: String,
    /// Where its files are.
    pub storage: PathBuf,
    process: Child,
}

impl RealRegistry {
    /// Starts one on a free port, and waits until it listens.
    ///
    /// # Errors
    /// When the program is missing or does not start.
    pub fn start(program: Program, storage: &Path) -> Result<Self> {
        Self::start_with(program, storage, "", "")
    }

    /// The same with more members of `http` in its configuration, and more of all.
    ///
    /// # Errors
    /// As [`RealRegistry::start`].
    pub fn start_with(program: Program, storage: &Path, http: &str, more: &str) -> Result<Self> {
        fs::create_dir_all(storage)?;
        let file = |kind: &str| storage.with_extension(kind);
        let root = storage.display().to_string();
        let config = format!(
            "version: 0.1\nstorage:\n  filesystem: {{rootdirectory: {root:?}}}\n  delete: {{enabled: true}}\n\
             http: {{addr: \"127.0.0.1:0\"{http}}}\n{more}"
        );
        fs::write(file("yml"), config)?;
        let log = fs::File::create(file("log"))?;
        let process = Command::new(program.path()?)
            .arg("serve")
            .arg(file("yml"))
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()?;
        let mut registry = Self { address: String::new(), storage: storage.to_owned(), process };
        let deadline = Instant::now() + PATIENCE;
        while registry.address.is_empty() {
            ensure!(Instant::now() < deadline, "{program:?} does not start: {}", file("log").display());
            sleep(Duration::from_millis(20));
            let log = fs::read_to_string(file("log"))?;
            let Some((_, rest)) = log.split_once("listening on 127.0.0.1:") else { continue };
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
            // The line may not be whole yet.
            if rest.len() > digits.len() {
                registry.address = format!("127.0.0.1:{digits}");
            }
        }
        Ok(registry)
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where a blob of it lies, manifests among them.
    #[must_use]
    pub fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
        let folder = self.storage.join("docker/registry/v2/blobs/sha256");
        folder.join(hex.get(..2).unwrap_or(hex)).join(hex).join("data")
    }

    /// An image of it, as skopeo names it.
    #[must_use]
    pub fn image(&self, repository: &str, tag: &str) -> String {
        format!("docker://{}/{repository}:{tag}", self.address)
    }

    /// A tag's raw manifest, as skopeo reads it.
    ///
    /// # Errors
    /// Where there is none.
    pub fn raw(&self, repository: &str, tag: &str) -> Result<Vec<u8>> {
        skopeo(&["inspect", "--tls-verify=false", "--raw", &self.image(repository, tag)])
    }

    /// Has skopeo copy an image from another registry, byte for byte.
    ///
    /// # Errors
    /// What skopeo says.
    pub fn push(&self, from: &Self, of: (&str, &str), to: (&str, &str)) -> Result<()> {
        let [from, to] = [from.image(of.0, of.1), self.image(to.0, to.1)];
        let plain = ["--src-tls-verify=false", "--dest-tls-verify=false"];
        skopeo(&[&["copy", "--quiet", "--all", "--preserve-digests"][..], &plain, &[&from, &to]].concat())?;
        Ok(())
    }

    /// Has skopeo delete a tag: by its digest, so all tags that lead there go.
    ///
    /// # Errors
    /// What skopeo says.
    pub fn delete(&self, repository: &str, tag: &str) -> Result<()> {
        skopeo(&["delete", "--tls-verify=false", &self.image(repository, tag)]).map(drop)
    }
}

impl Drop for RealRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs skopeo. What it printed.
fn skopeo(arguments: &[&str]) -> Result<Vec<u8>> {
    let ended = Command::new("skopeo").arg("--insecure-policy").args(arguments).output();
    let ended = ended.context("skopeo is not there: run tests/setup.sh")?;
    if !ended.status.success() {
        bail!("skopeo {arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
    }
    Ok(ended.stdout)
}

/// A program on PATH, or in a folder.
fn find(name: &str, folder: &Path) -> Result<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    folders.extend(std::env::split_paths(&on_path));
    let found = folders.into_iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("{name} is neither in {} nor on PATH", folder.display()))
}
