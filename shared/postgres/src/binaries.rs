//! Where PostgreSQL's programs are, and as whom they may run.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use nix::unistd::{Gid, Uid, User};
use tempfile::NamedTempFile;

/// The folder with `initdb` and `postgres`, and the account they run under.
#[derive(Debug, Clone)]
pub struct Binaries {
    folder: PathBuf,
    account: Option<(Uid, Gid)>,
}

impl Binaries {
    /// Looks at PATH, then where Debian and Homebrew keep them, the newest version first.
    pub fn find() -> anyhow::Result<Self> {
        Self::find_for(None)
    }

    /// The same for data that were made with a major version, such as 15. None: any will do.
    pub fn find_for(version: Option<&str>) -> anyhow::Result<Self> {
        let on_path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
        folders.extend(versions("/usr/lib/postgresql", "bin"));
        folders.extend(versions("/opt/homebrew/opt", "bin"));
        folders.extend(versions("/usr/local/opt", "bin"));
        let folder = folders
            .into_iter()
            .filter(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
            .find(|folder| version.is_none_or(|version| major(folder).as_deref() == Some(version)))
            .with_context(|| match version {
                None => {
                    "PostgreSQL's initdb and postgres are not installed (Debian: apt-get install postgresql)"
                        .to_owned()
                }
                Some(version) => {
                    format!("the data are PostgreSQL {version}'s, and that version is not installed")
                }
            })?;
        Ok(Self { folder, account: unprivileged_account()? })
    }

    /// A command for one of the programs, under the right account and free of the caller's PG* variables.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.folder.join(program));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C").process_group(0);
        if let Some((uid, gid)) = self.account {
            command.uid(uid.as_raw()).gid(gid.as_raw());
        }
        command
    }

    /// Makes a folder that the account owns, for itself alone.
    pub(crate) fn make_folder(&self, path: &Path) -> anyhow::Result<()> {
        let made = DirBuilder::new().mode(0o700).create(path);
        made.and_then(|()| self.give(path)).with_context(|| format!("cannot make {}", path.display()))
    }

    /// A temporary copy of a file, for the account alone. It goes when it is dropped.
    pub(crate) fn make_readable_copy(&self, path: &Path) -> anyhow::Result<NamedTempFile> {
        let copy = NamedTempFile::new_in(path.parent().context("a file has a folder")?)?;
        std::fs::copy(path, copy.path())?;
        self.give(copy.path())?;
        Ok(copy)
    }

    /// Whether the account can reach what is in the folder.
    ///
    /// # Errors
    /// It cannot: says what to do.
    pub fn check_reach(&self, folder: &Path) -> anyhow::Result<()> {
        if self.account.is_some() && !everyone_may_pass(folder) {
            bail!(
                "PostgreSQL does not run as root, and another account cannot reach {}: choose a folder that everybody may \
                 pass, or run this as another user",
                folder.display()
            );
        }
        Ok(())
    }

    fn give(&self, path: &Path) -> std::io::Result<()> {
        match self.account {
            Some((uid, gid)) => chown(path, Some(uid.as_raw()), Some(gid.as_raw())),
            None => Ok(()),
        }
    }

    /// A new temporary folder that the account can reach and owns. It stays: a [`Keeper`](crate::keeper::Keeper) is to
    /// remove it.
    pub fn temporary_folder(&self, prefix: &str) -> anyhow::Result<PathBuf> {
        let mut parent = std::env::temp_dir();
        if self.account.is_some() && !everyone_may_pass(&parent) {
            parent = PathBuf::from("/tmp");
        }
        let folder = tempfile::Builder::new()
            .prefix(prefix)
            .tempdir_in(&parent)
            .with_context(|| format!("no temporary folder in {}", parent.display()))?;
        self.give(folder.path())?;
        Ok(folder.keep())
    }
}

/// The major version of the programs in a folder: `postgres (PostgreSQL) 15.18 (…)`.
fn major(folder: &Path) -> Option<String> {
    let said = Command::new(folder.join("postgres")).arg("--version").output().ok()?.stdout;
    let said = String::from_utf8(said).ok()?;
    let version = said.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    Some(version.split(|c: char| !c.is_ascii_digit()).next()?.to_owned())
}

/// PostgreSQL refuses to run as root.
fn unprivileged_account() -> anyhow::Result<Option<(Uid, Gid)>> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Some(user) = User::from_name(name)? {
            return Ok(Some((user.uid, user.gid)));
        }
    }
    bail!("running as root, and there is neither a user postgres nor a user nobody to run PostgreSQL as")
}

fn everyone_may_pass(folder: &Path) -> bool {
    folder.ancestors().all(|part| part.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0))
}

/// `root/*/leaf`, the highest version number first.
fn versions(root: &str, leaf: &str) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let number = name.trim_start_matches("postgresql").trim_start_matches('@').parse().ok()?;
            Some((number, entry.path().join(leaf)))
        })
        .collect();
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, path)| path).collect()
}
