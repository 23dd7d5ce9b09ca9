//! What the registry answers to a start and to a cancel. Pure: the table of GitLab's container registry
//! v3.71.0, row by row.

use std::time::Duration;

use crate::error_code::ErrorCode;
use crate::status::{Status, Step};

/// What is known about a container repository when a start arrives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// Its status; `None` when no import was ever asked for and it is not native.
    pub status: Option<Status>,
    /// How long it has had that status.
    pub age: Duration,
    /// Whether it is on the old storage.
    pub on_old_storage: bool,
}

/// What a start means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// 202: run the step.
    Begin,
    /// 200: there is nothing to do.
    AlreadyThere,
    /// An error.
    Refuse(ErrorCode),
}

/// Decides a start. A pre import that was canceled less than `settle` ago may still be running.
pub(crate) fn start(known: Known, step: Step, settle: Duration) -> Start {
    use ErrorCode as Code;
    let wants_final = step == Step::Final;
    match known.status {
        Some(Status::Native | Status::ImportComplete) => Start::AlreadyThere,
        Some(Status::PreImportInProgress) => Start::Refuse(Code::PreImportInProgress),
        Some(Status::ImportInProgress) => Start::Refuse(Code::ImportInProgress),
        Some(Status::PreImportFailed) if wants_final => Start::Refuse(Code::PreImportFailed),
        Some(Status::PreImportCanceled) if known.age < settle => {
            Start::Refuse(Code::ImportRepositoryNotReady)
        }
        Some(Status::PreImportCanceled) if wants_final => Start::Refuse(Code::PreImportCanceled),
        _ if !known.on_old_storage => Start::Refuse(Code::NameUnknown),
        None if wants_final => Start::Refuse(Code::PreImportRequired),
        None
        | Some(
            Status::PreImportComplete
            | Status::PreImportFailed
            | Status::PreImportCanceled
            | Status::ImportFailed
            | Status::ImportCanceled,
        ) => Start::Begin,
    }
}

/// What a cancel means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cancel {
    /// 404 with an empty body.
    Unknown,
    /// 400.
    Refuse,
    /// 202: this status is written at once.
    Write(Status),
}

/// Decides a cancel.
pub(crate) fn cancel(status: Option<Status>, force: bool) -> Cancel {
    match status {
        None => Cancel::Unknown,
        Some(Status::Native) => Cancel::Refuse,
        Some(status) if !force && !status.is_in_progress() => Cancel::Refuse,
        Some(Status::PreImportInProgress | Status::PreImportComplete) => {
            Cancel::Write(Status::PreImportCanceled)
        }
        Some(
            Status::PreImportFailed
            | Status::PreImportCanceled
            | Status::ImportInProgress
            | Status::ImportComplete
            | Status::ImportFailed
            | Status::ImportCanceled,
        ) => Cancel::Write(Status::ImportCanceled),
    }
}
