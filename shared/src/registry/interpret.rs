use serde::Deserialize;

use super::{CancelAnswer, PreImportCode, ProbeAnswer, StartAnswer, StatusAnswer, exchange::Exchange};
use crate::migration::{RegistryStatus, RepositoryPath, Step};

/// The longest detail that is kept, in characters: the registry's own limit.
const DETAIL: usize = 255;

/// `{"errors":[{"code":"…","message":"…","detail":"…"}]}`
#[derive(Deserialize)]
struct ErrorBody {
    errors: Vec<ErrorEntry>,
}

#[derive(Deserialize)]
struct ErrorEntry {
    code: String,
    #[serde(default)]
    message: Option<String>,
    /// Any JSON: the distribution registry's errors have objects here, too.
    #[serde(default)]
    detail: serde_json::Value,
}

/// `{"name":"…","path":"…","status":"…","detail":"…"}`
#[derive(Deserialize)]
struct StatusBody {
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    detail: Option<String>,
}

/// The first error of a body: its code, and its detail or else its message.
struct FirstError {
    code: Option<String>,
    detail: Option<String>,
}

impl FirstError {
    fn of(body: &[u8]) -> Self {
        let first =
            serde_json::from_slice::<ErrorBody>(body).ok().and_then(|body| body.errors.into_iter().next());
        let Some(ErrorEntry { code, message, detail }) = first else {
            return Self { code: None, detail: None };
        };
        let detail = match detail {
            serde_json::Value::Null => message,
            serde_json::Value::String(text) => Some(text),
            other => Some(other.to_string()),
        };
        Self { code: Some(cut(&code)), detail: detail.map(|text| cut(&text)) }
    }

    fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }
}

fn cut(text: &str) -> String {
    text.chars().take(DETAIL).collect()
}

pub(super) fn start(exchange: Exchange, path: &RepositoryPath) -> StartAnswer {
    let (status, body) = match exchange {
        Exchange::Answered { status, body, .. } => (status, body),
        Exchange::NotSent { reason } => return StartAnswer::NotSent { reason },
        Exchange::Unknown { reason } => return StartAnswer::Unknown { reason },
    };
    let error = FirstError::of(&body);
    match (status, error.code()) {
        (202, _) => StartAnswer::Accepted,
        (200, _) if says_migrated(&body, path) => StartAnswer::AlreadyMigrated,
        (404, Some("NAME_UNKNOWN")) => StartAnswer::NothingToMigrate,
        (409 | 425, Some("IMPORT_IN_PROGRESS")) => StartAnswer::AlreadyRunning(Step::Final),
        (409 | 425, Some("PRE_IMPORT_IN_PROGRESS")) => StartAnswer::AlreadyRunning(Step::Pre),
        (424, Some("PRE_IMPORT_FAILED")) => StartAnswer::PreImportRequired { code: PreImportCode::Failed },
        (424, Some("PRE_IMPORT_CANCELED")) => {
            StartAnswer::PreImportRequired { code: PreImportCode::Canceled }
        }
        (424, Some("PRE_IMPORT_REQUIRED")) => {
            StartAnswer::PreImportRequired { code: PreImportCode::Required }
        }
        (429, Some("IMPORT_REPOSITORY_NOT_READY")) => StartAnswer::NotReady,
        (429, _) => StartAnswer::RateLimited,
        // A healthy import must not be aborted because somebody took the code out of the registry's answer.
        (409 | 425, None) => StartAnswer::Unknown { reason: format!("{status} without an error code") },
        (300..500, _) => StartAnswer::Refused { status, code: error.code, detail: error.detail },
        _ => StartAnswer::Unknown { reason: format!("{status} makes no sense here") },
    }
}

/// Whether the body of a 200 agrees that the repository is migrated: empty, or JSON that is no error and is not
/// about another path or another status. A page of some proxy does not agree.
fn says_migrated(body: &[u8], path: &RepositoryPath) -> bool {
    if body.trim_ascii().is_empty() {
        return true;
    }
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(body) else {
        return false;
    };
    let is = |name: &str, allowed: &[&str]| match json.get(name) {
        None | Some(serde_json::Value::Null) => true,
        Some(value) => value.as_str().is_some_and(|value| allowed.contains(&value)),
    };
    let migrated = [RegistryStatus::Native.name(), RegistryStatus::ImportComplete.name()];
    json.is_object()
        && json.get("errors").is_none()
        && is("path", &[path.as_str()])
        && is("status", &migrated)
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
            Ok(body) if body.path.as_deref().is_some_and(|of| of != path.as_str()) => {
                no_answer("the status of another repository".to_owned())
            }
            Ok(StatusBody { status, detail, .. }) => match status.as_deref().map(RegistryStatus::parse) {
                Some(Ok(status)) => StatusAnswer::Known { status, detail: detail.map(|text| cut(&text)) },
                Some(Err(unknown)) => no_answer(cut(&unknown.to_string())),
                None => no_answer("no status in the registry's JSON".to_owned()),
            },
        },
        404 if knows_nothing(&body) => StatusAnswer::NotFound,
        _ => no_answer(described(status, &body)),
    }
}

pub(super) fn cancel(exchange: Exchange, force: bool) -> CancelAnswer {
    let (status, body) = match exchange {
        Exchange::Answered { status, body, .. } => (status, body),
        Exchange::NotSent { reason } | Exchange::Unknown { reason } => {
            return CancelAnswer::NoAnswer { reason };
        }
    };
    let error = FirstError::of(&body);
    match (status, error.code()) {
        (202, _) => CancelAnswer::Accepted,
        (404, _) if knows_nothing(&body) => CancelAnswer::NotFound,
        (400, Some("IMPORT_CANNOT_BE_CANCELED")) => {
            match (force, error.detail.as_deref().and_then(previous_status)) {
                // Only a native repository withstands force.
                (true, None | Some(RegistryStatus::Native)) => CancelAnswer::Native,
                (_, previous) => CancelAnswer::CannotBeCanceled { previous },
            }
        }
        (300..500, _) => CancelAnswer::Refused { status, code: error.code, detail: error.detail },
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
    body.is_empty() || FirstError::of(body).code() == Some("NAME_UNKNOWN")
}

/// A status and what the body says about it, for logs.
pub(super) fn described(status: u16, body: &[u8]) -> String {
    let FirstError { code, detail } = FirstError::of(body);
    let said: Vec<String> = code.into_iter().chain(detail).collect();
    if said.is_empty() { status.to_string() } else { format!("{status} {}", said.join(": ")) }
}
