//! Registries that others wrote, each a process with a storage of its own.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::between::Counts;
use crate::measured::cpu;

/// How long one has to listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A registry that runs until it is dropped.
pub struct Registry {
    pub address: String,
    log: PathBuf,
    process: Child,
}

impl Registry {
    /// Starts `program` on a storage and a port. Its files are beside the storage.
    pub fn start(program: &Path, storage: &Path, port: u16) -> anyhow::Result<Self> {
        fs::create_dir_all(storage)?;
        let [settings, log] = ["yml", "log"].map(|kind| storage.with_extension(kind));
        let root = storage.display().to_string();
        fs::write(
            &settings,
            format!(
                "version: 0.1\nlog: {{level: info}}\nstorage:\n  filesystem: {{rootdirectory: {root:?}}}\n  delete: {{enabled: true}}\nhttp: {{addr: \"127.0.0.1:{port}\"}}\n"
            ),
        )?;
        let said = fs::File::create(&log)?;
        let process = Command::new(program)
            .arg("serve")
            .arg(&settings)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let mut registry = Self { address: String::new(), log, process };
        let deadline = Instant::now() + PATIENCE;
        while registry.address.is_empty() {
            if Instant::now() > deadline {
                bail!("{} does not start: {}", program.display(), fs::read_to_string(&registry.log)?);
            }
            std::thread::sleep(Duration::from_millis(20));
            let text = fs::read_to_string(&registry.log)?;
            let address = text.split_once("listening on ").and_then(|(_, rest)| {
                let (address, _) = rest.split_once(|c: char| !c.is_ascii_digit() && c != '.' && c != ':')?;
                Some(address.to_owned())
            });
            registry.address = address.unwrap_or_default();
        }
        Ok(registry)
    }

    /// The seconds of CPU that it has used.
    pub fn cpu(&self) -> anyhow::Result<f64> {
        Ok(cpu(self.process.id().try_into()?)?.iter().sum())
    }

    /// What it was asked since it started, by its own log.
    pub fn counts(&self) -> anyhow::Result<Counts> {
        Ok(Counts::of_log(&fs::read_to_string(&self.log)?))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
