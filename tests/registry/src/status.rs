//! The words of the import protocol: steps, operations and migration statuses.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The two imports of one container repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Copies everything but the tags while users still push.
    Pre,
    /// Copies what came since and the tags, read-only.
    Final,
}

impl Step {
    /// The value of `import_type`, if it is one.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "pre" => Some(Self::Pre),
            "final" => Some(Self::Final),
            _ => None,
        }
    }

    /// The status while this step runs.
    pub fn in_progress(self) -> Status {
        match self {
            Self::Pre => Status::PreImportInProgress,
            Self::Final => Status::ImportInProgress,
        }
    }

    /// The status when this step has succeeded.
    pub fn complete(self) -> Status {
        match self {
            Self::Pre => Status::PreImportComplete,
            Self::Final => Status::ImportComplete,
        }
    }

    /// The status when this step has failed.
    pub fn failed(self) -> Status {
        match self {
            Self::Pre => Status::PreImportFailed,
            Self::Final => Status::ImportFailed,
        }
    }

    /// The status when this step was canceled.
    pub fn canceled(self) -> Status {
        match self {
            Self::Pre => Status::PreImportCanceled,
            Self::Final => Status::ImportCanceled,
        }
    }
}

/// The calls of the import protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// `GET /gitlab/v1/`
    Probe,
    /// `PUT /gitlab/v1/import/<path>/`
    Start,
    /// `GET /gitlab/v1/import/<path>/`
    Status,
    /// `DELETE /gitlab/v1/import/<path>/`
    Cancel,
}

/// The migration status of a container repository, as the registry keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the protocol's words, as they stand in its documents")]
pub enum Status {
    Native,
    PreImportInProgress,
    PreImportComplete,
    PreImportFailed,
    PreImportCanceled,
    ImportInProgress,
    ImportComplete,
    ImportFailed,
    ImportCanceled,
}

impl Status {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::PreImportInProgress => "pre_import_in_progress",
            Self::PreImportComplete => "pre_import_complete",
            Self::PreImportFailed => "pre_import_failed",
            Self::PreImportCanceled => "pre_import_canceled",
            Self::ImportInProgress => "import_in_progress",
            Self::ImportComplete => "import_complete",
            Self::ImportFailed => "import_failed",
            Self::ImportCanceled => "import_canceled",
        }
    }

    /// Whether an import runs.
    pub fn is_in_progress(self) -> bool {
        matches!(self, Self::PreImportInProgress | Self::ImportInProgress)
    }

    /// Whether the new storage serves the container repository.
    pub fn is_on_new_storage(self) -> bool {
        matches!(self, Self::Native | Self::ImportComplete)
    }

    /// What stands as `detail` when nothing else is stored: the status itself where no sentence is known.
    fn usual_detail(self) -> &'static str {
        match self {
            Self::PreImportComplete => "pre import completed successfully",
            Self::ImportComplete => "final import completed successfully",
            Self::PreImportCanceled => "pre import was canceled manually",
            Self::ImportCanceled => "final import was canceled manually",
            Self::Native
            | Self::PreImportInProgress
            | Self::PreImportFailed
            | Self::ImportInProgress
            | Self::ImportFailed => self.as_str(),
        }
    }

    /// The `detail` for a stored error: the error cut to 255 characters, else the sentence for the status.
    pub fn detail(self, stored_error: Option<&str>) -> String {
        match stored_error {
            Some(error) if !error.is_empty() => error.chars().take(255).collect(),
            _ => self.usual_detail().to_owned(),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the registry says about one container repository: the body of a status answer and of a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The last component of the path.
    pub name: String,
    /// The whole path.
    pub path: String,
    /// The migration status.
    pub status: Status,
    /// At most 255 characters.
    pub detail: String,
}

impl Report {
    /// The report for a path with a status and the error stored with it.
    pub fn new(path: &str, status: Status, stored_error: Option<&str>) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        Self { name, path: path.to_owned(), status, detail: status.detail(stored_error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_on_the_wire_is_the_one_that_is_stored() {
        use Status::{
            ImportCanceled, ImportComplete, ImportFailed, ImportInProgress, Native, PreImportCanceled,
            PreImportComplete, PreImportFailed, PreImportInProgress,
        };
        for status in [
            Native,
            PreImportInProgress,
            PreImportComplete,
            PreImportFailed,
            PreImportCanceled,
            ImportInProgress,
            ImportComplete,
            ImportFailed,
            ImportCanceled,
        ] {
            assert_eq!(serde_json::json!(status), status.as_str());
        }
    }

    #[test]
    fn a_long_error_is_cut_to_255_characters_and_not_inside_one() {
        let detail = Status::ImportFailed.detail(Some(&"ü".repeat(300)));
        assert_eq!(detail.chars().count(), 255);
        assert_eq!(Status::ImportFailed.detail(None), "import_failed");
        assert_eq!(Status::ImportFailed.detail(Some("")), "import_failed");
    }
}
