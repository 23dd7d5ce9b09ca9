//! Where the programs are: the functions, freshly built, and cargo-lambda.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, bail, ensure};

/// The workspace's folder.
pub(crate) fn workspace() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        manifest.ancestors().nth(2).unwrap_or(manifest).to_owned()
    })
}

/// The folder with the functions' binaries: the one this program was built into. They are built first, as they
/// are deployed (the workspace's default members, with their features alone), so that nothing is tried on what
/// the sources no longer say; that takes moments when nothing changed. `FUNCTIONS_DIR` names another folder,
/// or says that they are built already, and is taken as it is.
pub fn functions() -> anyhow::Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    if let Some(folder) = std::env::var_os("FUNCTIONS_DIR") {
        return Ok(folder.into());
    }
    let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.clone().map_err(anyhow::Error::msg)
}

fn build() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let mut folder = program.parent().context("this program lies in no folder")?;
    if folder.ends_with("deps") {
        folder = folder.parent().context("this program lies in no folder")?;
    }
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--quiet", "--bins"]).current_dir(workspace());
    build.arg("--target-dir").arg(folder.parent().context("this program lies in no target folder")?);
    if folder.ends_with("release") {
        build.arg("--release");
    }
    eprintln!("Building the functions (a minute or two the first time)");
    let status = build.status().context("cargo is not on PATH")?;
    ensure!(status.success(), "the functions cannot be built ({status})");
    Ok(folder.to_owned())
}

/// The program cargo-lambda: on PATH, or where `tests/setup.sh` puts it.
pub(crate) fn cargo_lambda() -> anyhow::Result<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    folders.push(workspace().join("target/tools/venv/bin"));
    for folder in folders {
        let program = folder.join("cargo-lambda");
        if program.is_file() {
            return Ok(program);
        }
    }
    bail!("cargo-lambda is not installed: run tests/setup.sh")
}
