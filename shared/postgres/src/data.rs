//! A server's data folder: made by initdb, and the files that are written into it.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::binaries::Binaries;

/// Makes a data folder for the superuser `postgres`, in UTF-8 and without a locale. `arguments` are initdb's own; `held` is
/// a file that it keeps open as long as it runs, since it may outlive whoever started it.
///
/// # Errors
/// What initdb says when it fails.
pub fn initdb(
    binaries: &Binaries,
    folder: &Path,
    arguments: &[&str],
    held: Option<&File>,
) -> anyhow::Result<()> {
    let input = match held {
        Some(file) => file.try_clone()?.into(),
        None => Stdio::null(),
    };
    run_with(
        binaries
            .command("initdb")
            // Small segments: a folder that is copied is copied with them.
            .args(["--wal-segsize=1", "--username=postgres", "--encoding=UTF8", "--locale=C"])
            .args(arguments)
            .arg("-D")
            .arg(folder),
        input,
    )
}

/// Writes a file into the data folder, as its owner and readable to nobody else.
pub fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = folder.join(name);
    let written = fs::write(&path, text)
        .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)))
        .and_then(|()| fs::metadata(folder))
        .and_then(|owner| chown(&path, Some(owner.uid()), Some(owner.gid())));
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// Appends settings to the folder's `postgresql.conf`. The last line about a setting wins.
pub fn append_settings(folder: &Path, text: &str) -> anyhow::Result<()> {
    let path = folder.join("postgresql.conf");
    let file = fs::OpenOptions::new().append(true).open(&path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Puts lines in front of the folder's `pg_hba.conf`. The first line that fits a connection decides.
pub fn prepend_access(folder: &Path, lines: &str) -> anyhow::Result<()> {
    let path = folder.join("pg_hba.conf");
    let rest = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    fs::write(&path, lines.to_owned() + &rest).with_context(|| format!("cannot write {}", path.display()))
}

/// Runs a program to its end.
///
/// # Errors
/// Its standard error when it cannot be run or fails.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    run_with(command, Stdio::null())
}

fn run_with(command: &mut Command, input: Stdio) -> anyhow::Result<()> {
    let output = command
        .stdin(input)
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    ensure!(
        output.status.success(),
        "{} failed ({}): {}",
        command.get_program().display(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
