//! What is answered.

use serde_json::{Value, json};
use shared::store::importer::{Import, ImportStatus};

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its body, as JSON. None: it is empty.
    pub body: Option<Value>,
    /// The `cursor` of the next page, where there is one: it belongs into a `Link`.
    pub next: Option<String>,
    /// Its `WWW-Authenticate`.
    pub challenge: Option<&'static str>,
}

impl Answer {
    /// The `Link` to the next page of the catalogue, where there is one.
    #[must_use]
    pub fn link(&self) -> Option<String> {
        let cursor =
            percent_encoding::utf8_percent_encode(self.next.as_deref()?, percent_encoding::NON_ALPHANUMERIC);
        Some(format!("</v2/_catalog?cursor={cursor}>; rel=\"next\""))
    }

    pub(super) const fn empty(status: u16) -> Self {
        Self { status, body: None, next: None, challenge: None }
    }

    pub(super) const fn of(status: u16, body: Value) -> Self {
        Self { status, body: Some(body), next: None, challenge: None }
    }

    pub(super) fn unauthorized() -> Self {
        let body = error("UNAUTHORIZED", "authentication required", "");
        Self { challenge: Some("Bearer error=\"invalid_token\""), ..Self::of(401, body) }
    }

    /// What a registry's refusal means to whoever asks the importer.
    pub(super) fn of_registry(failed: &oci::Error, path: &str) -> Self {
        match failed.cause {
            oci::Cause::NotFound => {
                Self::of(404, error("NAME_UNKNOWN", "repository name not known to registry", path))
            }
            _ => Self::of(503, error("UNAVAILABLE", "service unavailable", &failed.to_string())),
        }
    }
}

/// The body of an error.
pub(super) fn error(code: &str, message: &str, detail: &str) -> Value {
    json!({"errors": [{"code": code, "message": message, "detail": detail}]})
}

/// The answer to a start, by its verdict.
pub(super) fn started(verdict: &str, path: &str) -> Answer {
    let (status, code, message) = match verdict {
        "start" | "repeat" => return Answer::empty(202),
        "complete" => return Answer::empty(200),
        "rate_limited" => (429, "IMPORT_RATE_LIMIT", "as many imports run as may run at once"),
        "wrong_type" => (400, "INVALID_QUERY_PARAMETER_VALUE", "import_type must be pre or final"),
        "not_ready" => (429, "IMPORT_REPOSITORY_NOT_READY", "the last pre import was canceled a moment ago"),
        "pre_import_in_progress" => (425, "PRE_IMPORT_IN_PROGRESS", "a pre import runs"),
        "import_in_progress" => (409, "IMPORT_IN_PROGRESS", "an import runs"),
        "pre_import_failed" => (424, "PRE_IMPORT_FAILED", "the last pre import failed"),
        "pre_import_canceled" => (424, "PRE_IMPORT_CANCELED", "the last pre import was canceled"),
        "pre_import_required" => (424, "PRE_IMPORT_REQUIRED", "a pre import comes first"),
        "name_unknown" => (404, "NAME_UNKNOWN", "repository name not known to registry"),
        _ => (500, "UNKNOWN", "unknown error"),
    };
    Answer::of(status, error(code, message, &format!("repository path {path}")))
}

/// The body of a status.
pub(super) fn status(import: &Import) -> Value {
    let mut body = report(import);
    if import.status.in_progress().is_some() {
        body["idle_seconds"] = json!(import.idle_seconds);
    }
    body
}

/// What a status and a notification have in common.
pub(super) fn report(import: &Import) -> Value {
    let name = import.source.rsplit('/').next().unwrap_or_default();
    json!({"name": name, "path": import.source, "status": import.status.name(), "detail": detail(import)})
}

/// At most 255 characters, the cause first.
fn detail(import: &Import) -> String {
    use ImportStatus as Is;
    let said = match (&import.cause, &import.error) {
        (Some(cause), Some(error)) => format!("{cause}: {error}"),
        (Some(said), None) | (None, Some(said)) => said.clone(),
        (None, None) => match import.status {
            Is::PreImportComplete => "pre import completed successfully",
            Is::ImportComplete => "final import completed successfully",
            Is::PreImportCanceled => "pre import was canceled manually",
            Is::ImportCanceled => "final import was canceled manually",
            other => other.name(),
        }
        .to_owned(),
    };
    said.chars().take(255).collect()
}

#[cfg(test)]
mod tests {
    use shared::store::importer::{Import, ImportStatus, Progress};

    use super::{report, started, status};

    fn import(status: ImportStatus, cause: Option<&str>, error: Option<&str>) -> Import {
        Import {
            source: "group/image".to_owned(),
            target: "other/image".to_owned(),
            status,
            attempt: uuid::Uuid::nil(),
            lease_lost: false,
            wrote: true,
            progress: Progress::default(),
            cause: cause.map(str::to_owned),
            error: error.map(str::to_owned),
            idle_seconds: 7,
        }
    }

    #[test]
    fn says_the_cause_first_and_at_most_255_characters() {
        let told = report(&import(ImportStatus::ImportFailed, Some("quota"), Some(&"ü".repeat(300))));
        let detail = told["detail"].as_str().unwrap();
        assert!(detail.starts_with("quota: ü") && detail.chars().count() == 255);
        assert_eq!((told["name"].as_str(), told["path"].as_str()), (Some("image"), Some("group/image")));
    }

    #[test]
    fn says_how_long_a_running_step_stands_still() {
        assert_eq!(status(&import(ImportStatus::ImportInProgress, None, None))["idle_seconds"], 7);
        let ended = status(&import(ImportStatus::ImportComplete, None, None));
        assert_eq!(ended.get("idle_seconds"), None);
        assert_eq!(ended["detail"], "final import completed successfully");
    }

    #[test]
    fn links_to_the_next_page_of_the_catalogue() {
        let mut answer = super::Answer::of(200, serde_json::json!({}));
        assert_eq!(answer.link(), None);
        answer.next = Some("/v2/_catalog?last=a%2Fb&n=100".to_owned());
        let link = "</v2/_catalog?cursor=%2Fv2%2F%5Fcatalog%3Flast%3Da%252Fb%26n%3D100>; rel=\"next\"";
        assert_eq!(answer.link().as_deref(), Some(link));
    }

    #[test]
    fn answers_each_verdict_of_a_plan() {
        use shared::store::importer::ImportStep;
        for step in [ImportStep::Pre, ImportStep::Final] {
            let plan = crate::start_plan(step);
            for verdict in plan.as_object().unwrap().values() {
                assert_ne!(started(verdict.as_str().unwrap(), "a").status, 500, "{verdict}");
            }
        }
        assert_eq!(started("nonsense", "a").status, 500);
    }
}
