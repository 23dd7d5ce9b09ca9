use super::{Step, state::named};

named! {
    /// What a notification says of an attempt. A registry has further status values; none of them ends an
    /// attempt, and a notification with one is refused.
    NotificationStatus, "notification status" {
        /// The pre step succeeded.
        PreImportComplete = "pre_import_complete",
        /// The pre step failed.
        PreImportFailed = "pre_import_failed",
        /// The pre step was canceled.
        PreImportCanceled = "pre_import_canceled",
        /// The final step succeeded.
        ImportComplete = "import_complete",
        /// The final step failed.
        ImportFailed = "import_failed",
        /// The final step was canceled.
        ImportCanceled = "import_canceled",
    }
}

named! {
    /// How a repository stands at the registry (`GET /gitlab/v1/import/<path>/`).
    RegistryStatus, "registry status" {
        /// Served by the new storage without an import.
        Native = "native",
        /// The pre step runs.
        PreImportInProgress = "pre_import_in_progress",
        /// The pre step succeeded.
        PreImportComplete = "pre_import_complete",
        /// The pre step failed.
        PreImportFailed = "pre_import_failed",
        /// The pre step was canceled.
        PreImportCanceled = "pre_import_canceled",
        /// The final step runs.
        ImportInProgress = "import_in_progress",
        /// The final step succeeded.
        ImportComplete = "import_complete",
        /// The final step failed.
        ImportFailed = "import_failed",
        /// The final step was canceled.
        ImportCanceled = "import_canceled",
    }
}

impl RegistryStatus {
    /// The step that runs, if one does.
    #[must_use]
    pub const fn running_step(self) -> Option<Step> {
        match self {
            Self::PreImportInProgress => Some(Step::Pre),
            Self::ImportInProgress => Some(Step::Final),
            Self::Native
            | Self::PreImportComplete
            | Self::PreImportFailed
            | Self::PreImportCanceled
            | Self::ImportComplete
            | Self::ImportFailed
            | Self::ImportCanceled => None,
        }
    }
}
