//! The tools that are compared, each called as its users call it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::ValueEnum;

/// A tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Tool {
    /// `registry-migration run`
    Ours,
    /// `crane copy --all-tags`, one repository after the other
    Crane,
    /// `regsync once` of a whole registry, four at once, with referrers and digest tags
    Regsync,
    /// `skopeo sync --all`, one repository after the other
    Skopeo,
}

/// Where the programs are. None: it is not there.
#[derive(Clone, Debug, clap::Args)]
pub struct Programs {
    #[arg(long)]
    ours: Option<PathBuf>,
    #[arg(long)]
    crane: Option<PathBuf>,
    #[arg(long)]
    regsync: Option<PathBuf>,
    #[arg(long)]
    skopeo: Option<PathBuf>,
}

impl Tool {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "registry-migration",
            Self::Crane => "crane",
            Self::Regsync => "regsync",
            Self::Skopeo => "skopeo",
        }
    }

    pub fn program(self, programs: &Programs) -> Option<&Path> {
        match self {
            Self::Ours => programs.ours.as_deref(),
            Self::Crane => programs.crane.as_deref(),
            Self::Regsync => programs.regsync.as_deref(),
            Self::Skopeo => programs.skopeo.as_deref(),
        }
    }

    /// Copies these repositories. `folder` is for what it keeps; `more` are options of ours.
    pub fn command(
        self,
        program: &Path,
        [from, to]: [&str; 2],
        repositories: &[String],
        folder: &Path,
        more: &[&str],
    ) -> anyhow::Result<Command> {
        let mut command = match self {
            Self::Ours => {
                let mut command = Command::new(program);
                command.args([
                    "run",
                    "--from",
                    &format!("http://{from}"),
                    "--to",
                    &format!("http://{to}"),
                    "--state",
                ]);
                command.arg(folder.join("state")).args(more);
                command
            }
            Self::Crane => {
                each(program, repositories, |name| format!("copy --all-tags {from}/{name} {to}/{name}"))
            }
            Self::Skopeo => each(program, repositories, |name| {
                let above = name.rsplit_once('/').map_or("", |(above, _)| above);
                format!(
                    "--insecure-policy sync --all --src docker --dest docker --src-tls-verify=false --dest-tls-verify=false {from}/{name} {to}/{above}"
                )
            }),
            Self::Regsync => {
                let settings = folder.join("regsync.yml");
                let registry = |address: &str| format!("  - registry: \"{address}\"\n    tls: disabled\n");
                std::fs::write(
                    &settings,
                    format!(
                        "version: 1\ncreds:\n{}{}defaults:\n  parallel: 4\n  referrers: true\n  digestTags: true\nsync:\n  - source: \"{from}\"\n    target: \"{to}\"\n    type: registry\n",
                        registry(from),
                        registry(to)
                    ),
                )?;
                let mut command = Command::new(program);
                command.arg("once").arg("-c").arg(settings);
                command
            }
        };
        let log = std::fs::File::create(folder.join("output"))?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .env("DOCKER_CONFIG", "/nonexistent");
        Ok(command)
    }
}

/// One call of the program for each repository, by a shell. One that fails ends no other.
fn each(program: &Path, repositories: &[String], arguments: impl Fn(&str) -> String) -> Command {
    let calls: Vec<String> =
        repositories.iter().map(|name| format!("\"$0\" {} || failed=1", arguments(name))).collect();
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{}\nexit ${{failed:-0}}", calls.join("\n"))).arg(program);
    command
}
