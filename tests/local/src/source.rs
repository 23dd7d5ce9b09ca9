//! A registry storage that somebody names, to be migrated from.

use std::path::Path;

use anyhow::{Context, ensure};
use local_registry::storage::Storage;

/// The storage in `directory`, which must be there: to a registry a folder that does not exist is an empty storage.
///
/// # Errors
/// When there is no such folder.
pub fn open(directory: &Path) -> anyhow::Result<Storage> {
    let metadata = std::fs::metadata(directory)
        .with_context(|| format!("the storage {} cannot be read", directory.display()))?;
    ensure!(metadata.is_dir(), "the storage {} is no folder", directory.display());
    Ok(Storage::new(directory))
}

/// The same with what it holds, which must be something.
///
/// # Errors
/// When there is no such folder, or no container repository in it.
pub fn open_with_repositories(directory: &Path) -> anyhow::Result<(Storage, Vec<String>)> {
    let storage = open(directory)?;
    let repositories = storage.repositories()?;
    ensure!(
        !repositories.is_empty(),
        "the storage {} holds no container repository: name the folder that holds docker/registry/v2/repositories",
        directory.display()
    );
    Ok((storage, repositories))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use local_registry::storage::{ImageOptions, Storage};

    use super::open_with_repositories;

    #[test]
    fn refuses_a_storage_that_holds_nothing_by_its_path() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let here = |name: &str| -> PathBuf { folder.path().join(name) };
        fs::write(here("file"), "")?;
        fs::create_dir_all(here("empty"))?;
        fs::create_dir_all(here("bare/docker/registry/v2/repositories"))?;
        for (directory, said) in [
            (here("missing"), "cannot be read"),
            (here("file"), "is no folder"),
            (here("file/below"), "cannot be read"),
            (here("empty"), "holds no container repository"),
            (here("bare"), "holds no container repository"),
        ] {
            let refused = open_with_repositories(&directory);
            let refusal = refused.err().map(|error| format!("{error:#}")).unwrap_or_default();
            let shown = directory.display().to_string();
            assert!(refusal.contains(said) && refusal.contains(&shown), "{shown}: {refusal}");
        }
        Storage::new(here("full")).write_image("group/image", &["v1"], &ImageOptions::small(1))?;
        assert_eq!(open_with_repositories(Path::new(&here("full")))?.1, ["group/image"]);
        Ok(())
    }
}
