//! `local list-storage`: what there is to be registered.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use local::output::say;
use local::source;
use serde_json::json;

/// Print a registry storage's container repositories with their tag counts, a JSON line each, as POST /repositories
/// takes them.
#[derive(Args)]
pub(crate) struct ListStorage {
    /// The registry storage (what holds `docker/registry/v2`); it is only read.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl ListStorage {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let (storage, repositories) = source::open_with_repositories(&self.directory)?;
        for path in repositories {
            let tags = storage.tags(&path)?.len();
            say(json!({"path": path, "tags_count": tags}))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
