//! The registry's memory: the status of each container repository, kept across restarts.
//!
//! The real registry has a database for this. Here it is a file beside the new storage: a line for each change,
//! read back and folded when the registry starts.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::status::Status;

/// The status of one container repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The container repository.
    pub path: String,
    /// Its status.
    pub status: Status,
    /// The error stored with it, whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

/// Every status there is, and the file they are kept in.
#[derive(Debug)]
pub(crate) struct Book {
    entries: BTreeMap<String, Entry>,
    file: File,
}

/// The file's name, in the root of the new storage.
const FILE: &str = "import-status.jsonl";

impl Book {
    /// Reads what an earlier registry on this storage left.
    pub(crate) fn open(new_storage: &Path) -> anyhow::Result<Self> {
        let path = new_storage.join(FILE);
        Self::read(new_storage, &path).with_context(|| format!("the statuses in {}", path.display()))
    }

    fn read(new_storage: &Path, path: &Path) -> io::Result<Self> {
        fs::create_dir_all(new_storage)?;
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            read => read?,
        };
        let mut entries = BTreeMap::new();
        let mut kept = String::new();
        for line in text.lines() {
            // A registry that was killed may leave half a line at the end: that change was never answered.
            let Ok(entry) = serde_json::from_str::<Entry>(line) else { break };
            kept.push_str(line);
            kept.push('\n');
            entries.insert(entry.path.clone(), entry);
        }
        if kept.len() != text.len() {
            fs::write(path, &kept)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { entries, file })
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Stores a status: on disk first, then in memory.
    pub(crate) fn write(&mut self, path: &str, status: Status, error: Option<String>) -> io::Result<()> {
        let entry = Entry { path: path.to_owned(), status, error, since: Timestamp::now() };
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.entries.insert(path.to_owned(), entry);
        Ok(())
    }
}
