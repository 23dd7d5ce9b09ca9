//! Where the programs are: the functions, freshly built, and cargo-lambda.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, bail, ensure};

use crate::output::note;

/// The workspace's folder: the one that this program lies in. A clone that was copied together with what had been
/// built in it works on itself, and not on the one that it was copied from.
pub fn workspace() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let program = std::env::current_exe().ok();
        let around = program.as_deref().and_then(workspace_around);
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        // Built into a target folder elsewhere: there is only the place where it was compiled.
        around.or_else(|| manifest.ancestors().nth(2)).unwrap_or(manifest).to_owned()
    })
}

fn workspace_around(program: &Path) -> Option<&Path> {
    program.ancestors().skip(1).find(|folder| folder.join("tests/local/Cargo.toml").is_file())
}

/// As the scripts build everything, so that what they have built is not built once more.
const BUILD: [&str; 5] = ["build", "--locked", "--quiet", "--workspace", "--bins"];

/// The folder with the functions' binaries: the one this program was built into. They are built first, so that
/// nothing is tried on what the sources no longer say; that takes moments when nothing changed. `FUNCTIONS_DIR`
/// names another folder, or says that they are built already, and is taken as it is.
///
/// # Errors
/// When they cannot be built.
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
    build.args(BUILD).current_dir(workspace());
    build.arg("--target-dir").arg(folder.parent().context("this program lies in no target folder")?);
    if folder.ends_with("release") {
        build.arg("--release");
    }
    note("Building the functions (a minute or two the first time)");
    let status = build.status().context("cargo is not on PATH")?;
    ensure!(status.success(), "the functions cannot be built ({status})");
    Ok(folder.to_owned())
}

/// The program cargo-lambda: on PATH, or where `tests/setup.sh` puts it.
///
/// # Errors
/// When it is in neither place.
pub fn cargo_lambda() -> anyhow::Result<PathBuf> {
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{BUILD, workspace_around};

    #[test]
    fn takes_the_workspace_that_the_program_lies_in() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let copied = folder.path().join("copied");
        fs::create_dir_all(copied.join("tests/local"))?;
        fs::write(copied.join("tests/local/Cargo.toml"), "")?;
        for program in ["target/debug/local", "target/debug/deps/it-0", "target/figures/release/figures"] {
            assert_eq!(workspace_around(&copied.join(program)), Some(copied.as_path()), "{program}");
        }
        assert_eq!(workspace_around(Path::new("/usr/bin/local")), None);
        Ok(())
    }

    #[test]
    fn builds_the_functions_as_the_scripts_do() {
        let build = format!("cargo {} --target-dir target\n", BUILD.join(" "));
        for (name, script) in [
            ("demo.sh", include_str!("../../demo.sh")),
            ("chaos.sh", include_str!("../../chaos.sh")),
            ("interop.sh", include_str!("../../interop.sh")),
        ] {
            assert!(script.contains(&build), "{name} should build by: {build}");
        }
    }
}
