//! Where PostgreSQL's programs are, and as whom they may run.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use nix::unistd::{Gid, Uid, User};

/// The folder with `initdb` and `postgres`, and the account they run under.
#[derive(Debug, Clone)]
pub struct Binaries {
    folder: PathBuf,
    account: Option<(Uid, Gid)>,
}

impl Binaries {
    /// Looks at PATH, then where Debian and Homebrew keep them, the newest version first.
    pub fn find() -> anyhow::Result<Self> {
        let on_path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
        folders.extend(versions("/usr/lib/postgresql", "bin"));
        folders.extend(versions("/opt/homebrew/opt", "bin"));
        folders.extend(versions("/usr/local/opt", "bin"));
        let folder = folders
            .into_iter()
            .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
            .context(
                "PostgreSQL's initdb and postgres are not installed (Debian: apt-get install postgresql)",
            )?;
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
        if let Some((uid, gid)) = self.account {
            chown(folder.path(), Some(uid.as_raw()), Some(gid.as_raw()))?;
        }
        Ok(folder.keep())
    }
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
