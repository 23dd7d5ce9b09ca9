//! The folder that a migration is kept in, from one run to the next.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::Uid;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tempfile::NamedTempFile;
use url::Url;

/// A state directory, which no other run uses as long as this value lives.
#[derive(Debug)]
pub struct StateDirectory {
    folder: PathBuf,
    _lock: File,
}

/// What a migration is between. It does not change from run to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Between {
    /// The source.
    pub from: Url,
    /// The target.
    pub to: Url,
}

/// The state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another run uses it.
    #[error("another run uses {}: wait for it, or end it", .0.display())]
    InUse(PathBuf),
    /// It is of another migration.
    #[error("{} is the state of a migration from {} to {}: name another folder", folder.display(), was.from, was.to)]
    Another {
        /// The folder.
        folder: PathBuf,
        /// What it is between.
        was: Box<Between>,
    },
    /// It has something else in it.
    #[error("{} is not empty and no state of a migration: name another folder", .0.display())]
    Foreign(PathBuf),
    /// A file of it cannot be read or written.
    #[error("{}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

fn of_file(path: &Path, why: impl ToString) -> StateError {
    StateError::File { path: path.to_owned(), why: why.to_string() }
}

const MIGRATION: &str = "migration.json";
const LOCK: &str = "lock";

impl StateDirectory {
    /// Opens it for a migration, and makes it where there is none.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn open(folder: &Path, between: &Between) -> Result<Self, StateError> {
        // The names of private repositories stand in it. As root the database runs as another account, which passes.
        let mode = if Uid::effective().is_root() { 0o711 } else { 0o700 };
        let made = DirBuilder::new().recursive(true).mode(mode).create(folder);
        made.map_err(|error| of_file(folder, error))?;
        let folder = folder.canonicalize().map_err(|error| of_file(folder, error))?;
        let known: Option<Between> = read_json(&folder.join(MIGRATION))?;
        if known.is_none() {
            let mut entries = fs::read_dir(&folder).map_err(|error| of_file(&folder, error))?;
            if entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != LOCK)) {
                return Err(StateError::Foreign(folder));
            }
        }
        let lock = lock(&folder)?;
        match known {
            Some(was) if was != *between => {
                return Err(StateError::Another { folder, was: Box::new(was) });
            }
            Some(_) => {}
            None => write_json(&folder.join(MIGRATION), between)?,
        }
        Ok(Self { folder, _lock: lock })
    }

    /// Where the database is.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.folder.join("database")
    }

    /// Where manifests are kept that were read from the source.
    #[must_use]
    pub fn manifests(&self) -> PathBuf {
        self.folder.join("manifests")
    }

    /// A file of it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Whether the folder is the state of a migration.
#[must_use]
pub fn is_state(folder: &Path) -> bool {
    folder.join(MIGRATION).is_file()
}

fn lock(folder: &Path) -> Result<File, StateError> {
    let path = folder.join(LOCK);
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.map_err(|error| of_file(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StateError::InUse(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(of_file(&path, error)),
    }
}

/// Reads a file of JSON. None: there is none.
///
/// # Errors
/// [`StateError::File`] where it is no such JSON.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StateError> {
    match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map(Some).map_err(|error| of_file(path, error)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(of_file(path, error)),
    }
}

/// Writes a file of JSON, whole or not at all.
///
/// # Errors
/// [`StateError::File`].
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), StateError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| of_file(path, error))?;
    write_whole(path, |file| writeln!(file, "{text}"))
}

/// Writes a file whole or not at all: what is read under its name is always a finished one.
///
/// # Errors
/// [`StateError::File`].
pub fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut File) -> std::io::Result<()>,
) -> Result<(), StateError> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let written = NamedTempFile::new_in(folder).and_then(|mut file| {
        write(file.as_file_mut())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        File::open(folder)?.sync_all()
    });
    written.map_err(|error| of_file(path, error))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::{Between, StateDirectory, StateError};

    fn between(to: &str) -> Between {
        Between { from: "https://old.example/".parse().unwrap(), to: to.parse().unwrap() }
    }

    #[test]
    fn is_opened_by_one_run_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/state");
        let first = StateDirectory::open(&path, &between("https://new.example/")).unwrap();
        let second = StateDirectory::open(&path, &between("https://new.example/"));
        assert!(matches!(second, Err(StateError::InUse(_))), "{second:?}");
        drop(first);
        StateDirectory::open(&path, &between("https://new.example/")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o066, 0);
    }

    #[test]
    fn is_not_taken_for_another_migration() {
        let folder = tempfile::tempdir().unwrap();
        drop(StateDirectory::open(folder.path(), &between("https://new.example/")).unwrap());
        let other = StateDirectory::open(folder.path(), &between("https://other.example/")).unwrap_err();
        let said = other.to_string();
        assert!(said.contains("from https://old.example/ to https://new.example/"), "{said}");
        drop(StateDirectory::open(folder.path(), &between("https://new.example/")).unwrap());
    }

    #[test]
    fn takes_no_folder_with_something_else_in_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.txt"), "text").unwrap();
        let error = StateDirectory::open(folder.path(), &between("https://new.example/")).unwrap_err();
        assert!(matches!(error, StateError::Foreign(_)), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn tells_of_a_broken_file_by_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("migration.json"), "{").unwrap();
        let error = StateDirectory::open(folder.path(), &between("https://new.example/")).unwrap_err();
        assert!(error.to_string().contains("migration.json"), "{error}");
    }
}
