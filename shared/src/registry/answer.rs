use std::time::Duration;

use serde::Serialize;

use crate::migration::{RegistryStatus, RegistryView, Step};

/// What the registry's answer to a start means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StartAnswer {
    /// 202: it runs; a notification will follow, or already has.
    Accepted,
    /// 200: the new storage already serves the repository, it says. So does many a proxy and many a page: only the
    /// status that the registry gives the repository proves it.
    ClaimsMigrated,
    /// The same, and proven so.
    AlreadyMigrated,
    /// 404 NAME_UNKNOWN: the old storage does not have the repository.
    NothingToMigrate,
    /// 425 and 409: this step is already running.
    AlreadyRunning(Step),
    /// 424: the final step wants a successful pre step first.
    PreImportRequired {
        /// Why there is none.
        code: PreImportCode,
    },
    /// 429: the registry runs as many imports as it can.
    RateLimited,
    /// 429 IMPORT_REPOSITORY_NOT_READY: the repository was canceled less than 5 s ago.
    NotReady,
    /// The request surely never reached anybody.
    NotSent {
        /// Why, for logs.
        reason: String,
    },
    /// Nobody knows whether the import was started: a timeout, a 5xx, an answer that is cut or makes no sense.
    Unknown {
        /// Why, for logs.
        reason: String,
    },
    /// Surely not started, for a reason that has no variant of its own.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The first error's code.
        code: String,
        /// The first error's detail or message, at most 255 characters.
        detail: Option<String>,
    },
    /// Surely not started: a redirect or a refusal without the registry's error. What answered is a proxy, a load
    /// balancer or another service, and says nothing about the repository.
    NotTheRegistry {
        /// The HTTP status.
        status: u16,
    },
}

/// Why the registry has no successful pre step of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PreImportCode {
    /// PRE_IMPORT_FAILED.
    Failed,
    /// PRE_IMPORT_CANCELED.
    Canceled,
    /// PRE_IMPORT_REQUIRED: there never was one.
    Required,
}

/// What the registry says of a repository's import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusAnswer {
    /// 200: it stands so.
    Known {
        /// How it stands.
        status: RegistryStatus,
        /// What the registry says about it, at most 255 characters.
        detail: Option<String>,
        /// For how long its running step has finished nothing, neither a part of a blob nor a manifest nor a tag. None:
        /// the registry does not say, or says nothing that could be such a time.
        idle: Option<Duration>,
    },
    /// 404: the registry knows of no import of it.
    NotFound,
    /// The registry did not say.
    NoAnswer {
        /// Why, for logs.
        reason: String,
    },
}

impl StatusAnswer {
    /// For how long its running step has finished nothing, where the registry says so.
    #[must_use]
    pub const fn idle(&self) -> Option<Duration> {
        match self {
            Self::Known { idle, .. } => *idle,
            Self::NotFound | Self::NoAnswer { .. } => None,
        }
    }

    /// How it stands, and what the registry says about it.
    #[must_use]
    pub fn view(self) -> (RegistryView, Option<String>) {
        match self {
            Self::Known { status, detail, .. } => (RegistryView::Says(status), detail),
            Self::NotFound => (RegistryView::KnowsNothing, None),
            Self::NoAnswer { .. } => (RegistryView::NoAnswer, None),
        }
    }
}

/// What the registry's answer to a cancelation means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelAnswer {
    /// 202: it is canceled; the running import notices within 5 s.
    Accepted,
    /// 404: the registry knows of no import of it.
    NotFound,
    /// 400 IMPORT_CANNOT_BE_CANCELED: nothing is in progress.
    CannotBeCanceled {
        /// How it stood, where the registry said so.
        previous: Option<RegistryStatus>,
    },
    /// 400 to a forced cancelation: the new storage serves the repository without an import.
    Native,
    /// Nobody knows whether it was canceled.
    NoAnswer {
        /// Why, for logs.
        reason: String,
    },
    /// Surely not canceled, for a reason that has no variant of its own.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The first error's code, where the body has one.
        code: Option<String>,
        /// The first error's detail or message, at most 255 characters.
        detail: Option<String>,
    },
}

/// Whether the registry speaks the import protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeAnswer {
    /// 2xx without a page, or 401: it does.
    Supported,
    /// Anything else it answered: it does not.
    Unsupported {
        /// The HTTP status.
        status: u16,
    },
    /// It did not say.
    NoAnswer {
        /// Why, for logs.
        reason: String,
    },
}
