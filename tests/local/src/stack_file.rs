//! What a running stack says about itself: one JSON line, and the same in `target/local/stack.json`.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::binaries::workspace;
use crate::function::Environment;
use crate::options::Topology;

/// Everything a caller needs. The secrets in it are worth nothing beyond the stack.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StackFile {
    /// Always true: it is written when everything answers.
    pub ready: bool,
    /// What the reader is.
    pub topology: Topology,
    /// The functions' HTTP surface.
    pub base_url: String,
    /// The registry.
    pub registry_url: String,
    /// The Data API.
    pub data_api_url: String,
    /// GetSecretValue.
    pub secrets_url: String,
    /// The ARN whose Data API runs on the primary.
    pub writer_arn: String,
    /// The ARN whose Data API runs on the standby.
    pub reader_arn: String,
    /// The secret of the role that may write.
    pub secret_arn: String,
    /// The secret of the role that can only SELECT.
    pub reader_secret_arn: String,
    /// The database.
    pub database: String,
    /// The superuser on the primary.
    pub writer_dsn: String,
    /// The superuser on the standby.
    pub reader_dsn: String,
    /// Where the registry sends notifications, with `{path}`.
    pub notification_url: String,
    /// What the registry shows.
    pub notification_secret: String,
    /// What an operator shows.
    pub operator_token: String,
    /// The key (PEM) that a registry checks the driver's tokens with.
    pub registry_token_public_key: String,
    /// The same key in a certificate (PEM), as GitLab's registry wants it: its `rootcertbundle`.
    pub registry_token_certificate: String,
    /// The functions that run.
    pub functions: Vec<String>,
    /// Where the functions and cargo lambda write their logs.
    pub logs: PathBuf,
    /// Every process, by name.
    pub pids: BTreeMap<String, u32>,
}

impl StackFile {
    /// The stack that runs now.
    ///
    /// # Errors
    /// When none runs.
    pub fn read() -> anyhow::Result<Self> {
        let path = folder().join(STACK);
        let text = fs::read(&path)
            .with_context(|| format!("no stack runs: {} is not there (local up)", path.display()))?;
        serde_json::from_slice(&text).with_context(|| path.display().to_string())
    }
}

/// The place where one stack at a time is announced: `target/local`. It is taken before the stack is started, and
/// given back by the end of the process, however it ends.
#[derive(Debug)]
pub struct Place {
    folder: PathBuf,
    _lock: File,
}

impl Place {
    /// Takes it.
    ///
    /// # Errors
    /// When another stack has it.
    pub fn take() -> anyhow::Result<Self> {
        Self::take_in(folder())
    }

    fn take_in(folder: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let path = folder.join("lock");
        let lock = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder, _lock: lock }),
            Err(TryLockError::WouldBlock) => bail!(
                "another stack has its files in {}: end that one first, or name another folder for this one as \
                 LOCAL_FOLDER",
                folder.display()
            ),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }

    /// Writes `stack.json`, `functions.env` for a plain `cargo lambda watch`, and `registry-token.pem` for a registry.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn announce(self, stack: &StackFile, environment: &Environment) -> anyhow::Result<Announcement> {
        let announcement = Announcement { place: self };
        let lines: String = environment.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        let write =
            |name: &str, content: &[u8]| write_privately(&announcement.place.folder.join(name), content);
        write(ENVIRONMENT, lines.as_bytes())?;
        write(CERTIFICATE, stack.registry_token_certificate.as_bytes())?;
        write(STACK, &serde_json::to_vec(stack)?)?;
        Ok(announcement)
    }
}

const STACK: &str = "stack.json";
const ENVIRONMENT: &str = "functions.env";
const CERTIFICATE: &str = "registry-token.pem";

/// The files in `target/local`, while a stack is announced there. Dropping it removes them.
#[derive(Debug)]
pub struct Announcement {
    place: Place,
}

impl Announcement {
    /// The file for `cargo lambda watch --env-file`.
    pub fn environment_file(&self) -> PathBuf {
        self.place.folder.join(ENVIRONMENT)
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        for path in [STACK, ENVIRONMENT, CERTIFICATE].map(|name| self.place.folder.join(name)) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    tracing::warn!(%error, path = %path.display(), "cannot be removed");
                }
                Ok(()) | Err(_) => {}
            }
        }
    }
}

/// `LOCAL_FOLDER` puts it elsewhere, for several stacks at once.
fn folder() -> PathBuf {
    let named = std::env::var_os("LOCAL_FOLDER").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| workspace().join("target/local"));
    std::path::absolute(&folder).unwrap_or(folder)
}

/// Under another name first: a reader finds a whole file or none.
fn write_privately(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let partial = path.with_extension("partial");
    let written = fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| fs::rename(&partial, path));
    written.with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn lets_one_stack_at_a_time_have_the_place() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let first = Place::take_in(folder.path().to_owned())?;
        let refusal = Place::take_in(folder.path().to_owned()).err().map(|error| error.to_string());
        assert!(refusal.is_some_and(|text| text.contains(&folder.path().display().to_string())));
        drop(first);
        Place::take_in(folder.path().to_owned())?;
        Ok(())
    }
}
