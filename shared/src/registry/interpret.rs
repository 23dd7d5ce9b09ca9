use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{CancelAnswer, PreImportCode, ProbeAnswer, StartAnswer, StatusAnswer, exchange::Exchange};
use crate::migration::{
    RegistryStatus, RepositoryPath, Step,
    foreign::{MAX_CHARACTERS, decode_json, keep, read_members},
};

/// `{"errors":[{"code":"…","message":"…","detail":"…"}]}`. What stands in an entry is read as far as it can be: the
/// distribution registry's errors have objects as their detail, too.
#[derive(Deserialize)]
struct ErrorBody<'a> {
    #[serde(borrow)]
    errors: Vec<&'a RawValue>,
}

/// The first error of a body: its code, and its detail or else its message.
struct FirstError {
    code: String,
    detail: Option<String>,
}

impl FirstError {
    /// None: the body is not an error of the registry's.
    fn of(body: &[u8]) -> Option<Self> {
        let body = decode_json(body);
        let body: ErrorBody<'_> = serde_json::from_str(&body).ok()?;
        let entry = read_members(body.errors.first()?.get(), ["code", "message", "detail"]).ok()?;
        let code = entry.string(0).filter(|code| is_code(code))?;
        Some(Self { code: keep(&code), detail: entry.text(2).or_else(|| entry.text(1)) })
    }

    /// As [`FirstError::of`]. None also where the error says that it is about another repository.
    fn about(path: &RepositoryPath, body: &[u8]) -> Option<Self> {
        Self::of(body)
            .filter(|error| error.named_path().is_none_or(|named| error.means(named, path.as_str())))
    }

    /// Whether `named` is `path`, or as much of it as is left where the detail is cut.
    fn means(&self, named: &str, path: &str) -> bool {
        let is_cut = self.detail.as_ref().is_some_and(|detail| detail.chars().count() == MAX_CHARACTERS);
        named == path || (is_cut && path.starts_with(named))
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
        200 => known(&body, path).unwrap_or_else(no_answer),
        404 if knows_nothing_of(path, &body) => StatusAnswer::NotFound,
        _ => no_answer(described(status, &body)),
    }
}

/// Reads `{"name":"…","path":"…","status":"…","detail":"…","idle_seconds":0}`: path and status decide, the others are read
/// as far as they can be.
fn known(body: &[u8], path: &RepositoryPath) -> Result<StatusAnswer, String> {
    const PATH: usize = 0;
    const STATUS: usize = 1;
    const DETAIL: usize = 2;
    const IDLE: usize = 3;
    let body = decode_json(body);
    let body = read_members(&body, ["path", "status", "detail", "idle_seconds"])
        .map_err(|_| "the status is not the registry's JSON".to_owned())?;
    if body.is_contradicted(PATH) || body.is_contradicted(STATUS) {
        return Err("the registry's JSON contradicts itself".to_owned());
    }
    let of = body.text(PATH).ok_or("no path in the registry's JSON")?;
    if of != path.as_str() {
        return Err("the status of another repository".to_owned());
    }
    let status = body.string(STATUS).ok_or("no status in the registry's JSON")?;
    let status = RegistryStatus::parse(&status).map_err(|unknown| keep(&unknown.to_string()))?;
    let idle = if body.is_contradicted(IDLE) { None } else { body.number(IDLE) };
    let idle = idle.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Ok(StatusAnswer::Known { status, detail: body.text(DETAIL), idle })
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
        // The registry has nothing to say here. A page is somebody else's.
        Exchange::Answered { status: 200..300, body, .. }
            if body.trim_ascii().is_empty() || serde_json::from_slice::<serde_json::Value>(&body).is_ok() =>
        {
            ProbeAnswer::Supported
        }
        Exchange::Answered { status: 401, .. } => ProbeAnswer::Supported,
        Exchange::Answered { status: status @ 500.., body, .. } => {
            ProbeAnswer::NoAnswer { reason: described(status, &body) }
        }
        Exchange::Answered { status, .. } => ProbeAnswer::Unsupported { status },
        Exchange::NotSent { reason } | Exchange::Unknown { reason } => ProbeAnswer::NoAnswer { reason },
    }
}

/// Whether a 404 is the registry's own: an empty body, or its error, which names no other repository. Anything else is
/// a proxy's page.
fn knows_nothing_of(path: &RepositoryPath, body: &[u8]) -> bool {
    body.is_empty() || FirstError::about(path, body).is_some_and(|error| error.code == "NAME_UNKNOWN")
}

/// The code of a body's first error, where there is one.
pub(super) fn error_code(body: &[u8]) -> Option<String> {
    FirstError::of(body).map(|error| error.code)
}

/// A status and what the body says about it, for logs.
pub(super) fn described(status: u16, body: &[u8]) -> String {
    match FirstError::of(body) {
        None => status.to_string(),
        Some(FirstError { code, detail: None }) => format!("{status} {code}"),
        Some(FirstError { code, detail: Some(detail) }) => format!("{status} {code}: {detail}"),
    }
}
