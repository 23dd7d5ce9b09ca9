use serde::Deserialize;
use serde_json::Value;

use super::{CancelAnswer, PreImportCode, ProbeAnswer, StartAnswer, StatusAnswer, exchange::Exchange};
use crate::migration::{RegistryStatus, RepositoryPath, Step};

/// The longest detail that is kept, in characters: the registry's own limit.
const DETAIL: usize = 255;

/// `{"errors":[{"code":"…","message":"…","detail":"…"}]}`
#[derive(Deserialize)]
struct ErrorBody {
    errors: Vec<ErrorEntry>,
}

/// Message and detail may be any JSON: the distribution registry's errors have objects there, too.
#[derive(Deserialize)]
struct ErrorEntry {
    code: String,
    #[serde(default)]
    message: Value,
    #[serde(default)]
    detail: Value,
}

/// `{"name":"…","path":"…","status":"…","detail":"…"}`
#[derive(Deserialize)]
struct StatusBody {
    #[serde(default)]
    path: Value,
    #[serde(default)]
    status: Value,
    #[serde(default)]
    detail: Value,
}

/// The first error of a body: its code, and its detail or else its message.
struct FirstError {
    code: String,
    detail: Option<String>,
}

impl FirstError {
    /// None: the body is not an error of the registry's.
    fn of(body: &[u8]) -> Option<Self> {
        let body: ErrorBody = serde_json::from_slice(body).ok()?;
        let ErrorEntry { code, message, detail } = body.errors.into_iter().next()?;
        let detail = if detail.is_null() { message } else { detail };
        is_code(&code).then(|| Self { code: cut(&code), detail: text(detail) })
    }

    /// As [`FirstError::of`]. None also where the error says that it is about another repository.
    fn about(path: &RepositoryPath, body: &[u8]) -> Option<Self> {
        Self::of(body).filter(|error| error.named_path().is_none_or(|named| named == path.as_str()))
    }

    /// The path in `repository path <path> …`.
    fn named_path(&self) -> Option<&str> {
        self.detail.as_deref()?.strip_prefix("repository path ")?.split_whitespace().next()
    }
}

/// Whether an error's code is written as the registry writes its own, `NAME_UNKNOWN`.
fn is_code(code: &str) -> bool {
    !code.is_empty() && code.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_'))
}

/// What somebody else said, in whatever JSON, as text.
fn text(said: Value) -> Option<String> {
    match said {
        Value::Null => None,
        Value::String(text) => Some(cut(&text)),
        other => Some(cut(&other.to_string())),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(DETAIL).collect()
}

pub(super) fn start(exchange: Exchange, path: &RepositoryPath) -> StartAnswer {
    match exchange {
        Exchange::Answered { status, body, .. } => StartAnswer::read(status, &body, path),
        Exchange::NotSent { reason } => StartAnswer::NotSent { reason },
        Exchange::Unknown { reason } => StartAnswer::Unknown { reason },
    }
}

impl StartAnswer {
    /// What a whole answer to a start of `path` means.
    pub(crate) fn read(status: u16, body: &[u8], path: &RepositoryPath) -> Self {
        let error = FirstError::about(path, body);
        match (status, error.as_ref().map(|error| error.code.as_str())) {
            (202, _) => Self::Accepted,
            (200, _) => Self::ClaimsMigrated,
            (404, Some("NAME_UNKNOWN")) => Self::NothingToMigrate,
            (409 | 425, Some("IMPORT_IN_PROGRESS")) => Self::AlreadyRunning(Step::Final),
            (409 | 425, Some("PRE_IMPORT_IN_PROGRESS")) => Self::AlreadyRunning(Step::Pre),
            (424, Some("PRE_IMPORT_FAILED")) => Self::PreImportRequired { code: PreImportCode::Failed },
            (424, Some("PRE_IMPORT_CANCELED")) => Self::PreImportRequired { code: PreImportCode::Canceled },
            (424, Some("PRE_IMPORT_REQUIRED")) => Self::PreImportRequired { code: PreImportCode::Required },
            (429, Some("IMPORT_REPOSITORY_NOT_READY")) => Self::NotReady,
            (429, _) => Self::RateLimited,
            // Somebody may have taken the code out of the registry's answer, and the import runs.
            (409 | 425, None) => Self::Unknown { reason: format!("{status} without an error code") },
            (300..500, _) => match error {
                Some(FirstError { code, detail }) if status >= 400 => Self::Refused { status, code, detail },
                Some(_) | None => Self::NotTheRegistry { status },
            },
            _ => Self::Unknown { reason: format!("{status} makes no sense here") },
        }
    }
}

pub(super) fn status(exchange: Exchange, path: &RepositoryPath) -> StatusAnswer {
    let no_answer = |reason: String| StatusAnswer::NoAnswer { reason };
    let (status, body) = match exchange {
        Exchange::Answered { status, body, .. } => (status, body),
        Exchange::NotSent { reason } | Exchange::Unknown { reason } => return no_answer(reason),
    };
    match status {
        200 => match serde_json::from_slice::<StatusBody>(&body) {
            Err(_) => no_answer("the status is not the registry's JSON".to_owned()),
            Ok(StatusBody { path: Value::Null, .. }) => {
                no_answer("no path in the registry's JSON".to_owned())
            }
            Ok(body) if body.path != path.as_str() => {
                no_answer("the status of another repository".to_owned())
            }
            Ok(StatusBody { status, detail, .. }) => match status.as_str().map(RegistryStatus::parse) {
                Some(Ok(status)) => StatusAnswer::Known { status, detail: text(detail) },
                Some(Err(unknown)) => no_answer(cut(&unknown.to_string())),
                None => no_answer("no status in the registry's JSON".to_owned()),
            },
        },
        404 if knows_nothing_of(path, &body) => StatusAnswer::NotFound,
        _ => no_answer(described(status, &body)),
    }
}

pub(super) fn cancel(exchange: Exchange, path: &RepositoryPath, force: bool) -> CancelAnswer {
    let (status, body) = match exchange {
        Exchange::Answered { status, body, .. } => (status, body),
        Exchange::NotSent { reason } | Exchange::Unknown { reason } => {
            return CancelAnswer::NoAnswer { reason };
        }
    };
    let (code, detail) = FirstError::about(path, &body).map(|error| (error.code, error.detail)).unzip();
    let detail = detail.flatten();
    match (status, code.as_deref()) {
        (202, _) => CancelAnswer::Accepted,
        (404, _) if knows_nothing_of(path, &body) => CancelAnswer::NotFound,
        (400, Some("IMPORT_CANNOT_BE_CANCELED")) => {
            match (force, detail.as_deref().and_then(previous_status)) {
                // Only a native repository withstands force.
                (true, None | Some(RegistryStatus::Native)) => CancelAnswer::Native,
                (_, previous) => CancelAnswer::CannotBeCanceled { previous },
            }
        }
        (300..500, _) => CancelAnswer::Refused { status, code, detail },
        _ => CancelAnswer::NoAnswer { reason: described(status, &body) },
    }
}

/// Reads `repository path <p> previous migration status: <s>`.
fn previous_status(detail: &str) -> Option<RegistryStatus> {
    let (_, status) = detail.rsplit_once("previous migration status: ")?;
    RegistryStatus::parse(status.trim()).ok()
}

pub(super) fn probe(exchange: Exchange) -> ProbeAnswer {
    match exchange {
        Exchange::Answered { status: 200..300 | 401, .. } => ProbeAnswer::Supported,
        Exchange::Answered { status: status @ 500.., body, .. } => {
            ProbeAnswer::NoAnswer { reason: described(status, &body) }
        }
        Exchange::Answered { status, .. } => ProbeAnswer::Unsupported { status },
        Exchange::NotSent { reason } | Exchange::Unknown { reason } => ProbeAnswer::NoAnswer { reason },
    }
}

/// Whether a 404 is the registry's own: an empty body, or its error. Anything else is a proxy's page.
pub(super) fn knows_nothing(body: &[u8]) -> bool {
    body.is_empty() || FirstError::of(body).is_some_and(|error| error.code == "NAME_UNKNOWN")
}

/// As [`knows_nothing`], and the error names no other repository.
fn knows_nothing_of(path: &RepositoryPath, body: &[u8]) -> bool {
    body.is_empty() || FirstError::about(path, body).is_some_and(|error| error.code == "NAME_UNKNOWN")
}

/// A status and what the body says about it, for logs.
pub(super) fn described(status: u16, body: &[u8]) -> String {
    match FirstError::of(body) {
        None => status.to_string(),
        Some(FirstError { code, detail: None }) => format!("{status} {code}"),
        Some(FirstError { code, detail: Some(detail) }) => format!("{status} {code}: {detail}"),
    }
}
