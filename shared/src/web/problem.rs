use std::time::Duration;

use http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Response};
use serde_json::{Map, Value, json};

use super::{RequestId, answer};
use crate::migration::{ContainerRepository, foreign::keep_first};

/// The longest text that a problem has, in characters: it may speak of what the caller sent, and that is of any length.
const MAX_TEXT: usize = 1000;

/// When a registry that did not answer may be asked again.
const REGISTRY_RETRY: Duration = Duration::from_secs(5);

/// An answer that is no success: RFC 9457's `application/problem+json`, which also carries `message` in the
/// form GitLab's API uses (`400 Bad request - Wrong migration state (default)`), because that member is what
/// the registry writes into its log.
///
/// By hand, since `message`, `Retry-After` and the words would still be ours beside a crate's type.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    status: StatusCode,
    kind: Option<&'static str>,
    text: Option<Box<str>>,
    retry_after: Option<Duration>,
    challenge: Option<&'static str>,
    allow: Option<Box<str>>,
    members: Map<String, Value>,
}

impl Problem {
    /// A problem of any status. `text` is shown to the caller.
    #[must_use]
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { text: Some(keep_first(&text.into(), MAX_TEXT).into()), ..Self::bare(status) }
    }

    /// 400: the request is wrong, or wrong in this state.
    #[must_use]
    pub fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// 401, with what the caller must present as `WWW-Authenticate` where there is a scheme for it.
    #[must_use]
    pub fn unauthorized(text: impl Into<String>, challenge: Option<&'static str>) -> Self {
        Self { challenge, ..Self::new(StatusCode::UNAUTHORIZED, text) }
    }

    /// 404: there is no such thing, or there cannot be.
    #[must_use]
    pub fn not_found(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// 405: the address is known, but not with this method. `allow` names those that it is known with.
    #[must_use]
    pub fn method_not_allowed(allow: impl Into<String>) -> Self {
        let allow = allow.into();
        let text = format!("this address is known with {allow} only");
        Self { allow: Some(allow.into()), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, text) }
    }

    /// 409: not in this state.
    #[must_use]
    pub fn conflict(text: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, text)
    }

    /// 429: try again after `retry_after`.
    #[must_use]
    pub fn too_many_requests(text: impl Into<String>, retry_after: Duration) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, text).retry_after(retry_after)
    }

    /// 503: something this needs cannot serve now; try again after `retry_after`.
    #[must_use]
    pub fn unavailable(text: impl Into<String>, retry_after: Duration) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text).retry_after(retry_after)
    }

    /// 500 that tells the caller the request's id and nothing else. The log says the rest.
    #[must_use]
    pub fn defect() -> Self {
        Self::bare(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// 404: the driver does not know the repository.
    #[must_use]
    pub fn unknown_repository() -> Self {
        Self::not_found("no such container repository").of_kind("unknown-repository")
    }

    /// 409: what was asked of a repository is not done in its state. `participle` is what was asked: `started`.
    #[must_use]
    pub fn wrong_state(row: &ContainerRepository, participle: &str) -> Self {
        let text = format!("a migration that is {} cannot be {participle}", row.migration_state);
        Self::conflict(text).of_kind("wrong-migration-state").about(row)
    }

    /// 503: the registry does not answer now. Asked again after `wait`, or after five seconds.
    #[must_use]
    pub fn registry_unavailable(text: impl Into<String>, wait: Option<Duration>) -> Self {
        Self::unavailable(text, wait.unwrap_or(REGISTRY_RETRY)).of_kind("registry-unavailable")
    }

    fn bare(status: StatusCode) -> Self {
        Self {
            status,
            kind: None,
            text: None,
            retry_after: None,
            challenge: None,
            allow: None,
            members: Map::new(),
        }
    }

    /// Names the kind of problem for programs (`type`), in lower case with hyphens: `wrong-migration-state`.
    #[must_use]
    pub fn of_kind(self, kind: &'static str) -> Self {
        Self { kind: Some(kind), ..self }
    }

    /// Says when to try again (`Retry-After`), rounded up to whole seconds.
    #[must_use]
    pub fn retry_after(self, after: Duration) -> Self {
        Self { retry_after: Some(after), ..self }
    }

    /// Adds what every answer about a repository carries: its state and version.
    #[must_use]
    pub fn about(self, row: &ContainerRepository) -> Self {
        self.with("migration_state", row.migration_state.name()).with("version", row.version)
    }

    /// Adds an extension member. The names RFC 9457 gives, and `message`, stay what they are.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// `<status> <reason> - <text>`, the form of GitLab's API.
    #[must_use]
    pub fn message(&self) -> String {
        let head = format!("{} {}", self.status.as_u16(), reason(self.status));
        match &self.text {
            Some(text) => format!("{head} - {text}"),
            None => head,
        }
    }

    /// The answer, with the request's id in the body (`instance`) and in `x-request-id`.
    #[must_use]
    pub fn into_response(self, id: &RequestId) -> Response<Body> {
        let message = match &self.text {
            Some(_) => self.message(),
            // The registry logs `message` alone: without the id nobody could find our side of it.
            None => format!("{} - request {id}", self.message()),
        };
        let mut body = self.members;
        let kind =
            self.kind.map_or("about:blank".to_owned(), |kind| format!("urn:registry-migration:{kind}"));
        body.insert("type".to_owned(), json!(kind));
        body.insert("title".to_owned(), json!(reason(self.status)));
        body.insert("status".to_owned(), json!(self.status.as_u16()));
        body.insert("instance".to_owned(), json!(id.as_str()));
        body.insert("message".to_owned(), json!(message));
        match self.text {
            Some(text) => body.insert("detail".to_owned(), json!(text)),
            None => body.remove("detail"),
        };
        let media_type = HeaderValue::from_static("application/problem+json");
        let mut response = answer::response(self.status, media_type, Value::Object(body).to_string(), id);
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(allow) = self.allow.and_then(|allow| HeaderValue::from_str(&allow).ok()) {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        if let Some(challenge) = self.challenge {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

/// GitLab's API writes this one with a small r, and the notification's answers are compared with its.
fn reason(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "Bad request",
        other => other.canonical_reason().unwrap_or("Error"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::StatusCode;
    use serde_json::{Value, json};

    use super::Problem;
    use crate::web::RequestId;

    fn body(problem: Problem) -> Value {
        serde_json::from_slice(problem.into_response(&RequestId::new("r-1")).body()).unwrap()
    }

    #[test]
    fn the_message_is_the_one_gitlabs_api_gives() {
        let problem = Problem::bad_request("Wrong migration state (default)");
        assert_eq!(problem.message(), "400 Bad request - Wrong migration state (default)");
        assert_eq!(body(problem)["message"], "400 Bad request - Wrong migration state (default)");
    }

    #[test]
    fn the_body_is_rfc_9457s_with_extension_members() {
        let problem = Problem::conflict("not now").of_kind("migrations-disabled").with("version", 7);
        assert_eq!(
            body(problem.clone()),
            json!({
                "type": "urn:registry-migration:migrations-disabled", "title": "Conflict", "status": 409,
                "detail": "not now", "instance": "r-1", "message": "409 Conflict - not now", "version": 7,
            })
        );
        let response = problem.into_response(&RequestId::new("r-1"));
        assert_eq!(response.status(), StatusCode::CONFLICT);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["x-request-id"], "r-1");
    }

    #[test]
    fn never_replaces_a_standard_member_by_an_extension() {
        let body = body(Problem::conflict("not now").with("status", 200).with("message", "fine"));
        assert_eq!(body["status"], 409);
        assert_eq!(body["message"], "409 Conflict - not now");
    }

    #[test]
    fn a_text_about_what_a_caller_sent_is_cut() {
        let problem = Problem::bad_request("ü\0".repeat(5000));
        assert_eq!(body(problem)["detail"], "ü\u{fffd}".repeat(500));
    }

    #[test]
    fn a_defect_tells_the_request_id_and_nothing_else() {
        assert_eq!(
            body(Problem::defect()),
            json!({
                "type": "about:blank", "title": "Internal Server Error", "status": 500, "instance": "r-1",
                "message": "500 Internal Server Error - request r-1",
            })
        );
    }

    #[test]
    fn retry_after_is_rounded_up_to_whole_seconds() {
        for (after, header) in [(0, "0"), (1, "1"), (1000, "1"), (1001, "2"), (5000, "5")] {
            let problem = Problem::too_many_requests("full", Duration::from_millis(after));
            assert_eq!(problem.into_response(&RequestId::new("r")).headers()["retry-after"], header);
        }
        let without = Problem::conflict("x").into_response(&RequestId::new("r"));
        assert!(!without.headers().contains_key("retry-after"));
    }
}
