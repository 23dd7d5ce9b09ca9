//! What a running stack says about itself: one JSON line, and the same in `target/local/stack.json`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
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
        let path = folder().join("stack.json");
        let text = fs::read(&path)
            .with_context(|| format!("no stack runs: {} is not there (local up)", path.display()))?;
        serde_json::from_slice(&text).with_context(|| path.display().to_string())
    }
}

/// The files in `target/local`, while a stack is announced there. Dropping it removes those that are still its
/// own.
#[derive(Debug)]
pub struct Announcement {
    stack: Vec<u8>,
}

impl Announcement {
    /// Writes `stack.json`, and `functions.env` for a plain `cargo lambda watch`.
    pub fn write(stack: &StackFile, environment: &Environment) -> anyhow::Result<Self> {
        let folder = folder();
        fs::create_dir_all(&folder)?;
        let line = serde_json::to_vec(stack)?;
        let lines: String = environment.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        write_privately(&folder.join("functions.env"), lines.as_bytes())?;
        write_privately(&folder.join("stack.json"), &line)?;
        Ok(Self { stack: line })
    }

    /// The file for `cargo lambda watch --env-file`.
    pub fn environment_file(&self) -> PathBuf {
        folder().join("functions.env")
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        let file = folder().join("stack.json");
        if fs::read(&file).is_ok_and(|text| text == self.stack) {
            for name in ["stack.json", "functions.env"] {
                if let Err(error) = fs::remove_file(folder().join(name)) {
                    tracing::warn!(%error, name, "cannot be removed");
                }
            }
        }
    }
}

/// `LOCAL_FOLDER` puts it elsewhere, for several stacks at once.
fn folder() -> PathBuf {
    std::env::var_os("LOCAL_FOLDER").map_or_else(|| workspace().join("target/local"), PathBuf::from)
}

/// Under another name first: a reader finds a whole file or none.
fn write_privately(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let partial = path.with_extension("partial");
    let mut file =
        fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&partial)?;
    file.write_all(content)?;
    fs::rename(&partial, path)?;
    Ok(())
}
