use http::HeaderMap;
use lambda_http::Request;
use serde::Deserialize;

use super::{Problem, json_body};
use crate::migration::{AttemptId, NotificationStatus};

/// The longest detail that is kept. The registry cuts at the same length.
const MAX_DETAIL_CHARACTERS: usize = 255;

/// What a notification says, apart from the repository's path, which stands in its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotificationRequest {
    /// How the attempt ended.
    pub status: NotificationStatus,
    /// What the registry says about it, at most 255 characters.
    pub detail: Option<String>,
    /// The attempt, from `X-Request-ID`. `None` when there is none or when it is no UUID: a proxy may have
    /// replaced it.
    pub attempt: Option<AttemptId>,
}

#[derive(Deserialize)]
struct Fields {
    status: NotificationStatus,
    #[serde(default)]
    detail: Option<String>,
}

impl NotificationRequest {
    /// Reads the registry's body `{name, path, status, detail}` and its `X-Request-ID`. Further fields are
    /// tolerated, and so is their absence, but for the status.
    ///
    /// # Errors
    /// As [`json_body`]; a status that ends no attempt is a 400.
    pub fn of(request: &Request) -> Result<Self, Problem> {
        let fields: Fields = json_body(request)?;
        Ok(Self {
            status: fields.status,
            detail: fields.detail.map(|detail| kept(&detail)),
            attempt: attempt(request.headers()),
        })
    }
}

/// PostgreSQL's text cannot hold NUL, and a notification must not be lost to its detail.
fn kept(detail: &str) -> String {
    detail.chars().take(MAX_DETAIL_CHARACTERS).map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect()
}

fn attempt(headers: &HeaderMap) -> Option<AttemptId> {
    AttemptId::parse(headers.get("x-request-id")?.to_str().ok()?)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use lambda_http::Request;

    use super::NotificationRequest;
    use crate::migration::NotificationStatus;

    fn read(body: &str, request_id: Option<&str>) -> Result<NotificationRequest, (StatusCode, String)> {
        let mut request = Request::new(body.into());
        if let Some(id) = request_id {
            request.headers_mut().insert("x-request-id", id.parse().unwrap());
        }
        NotificationRequest::of(&request).map_err(|problem| (problem.status(), problem.message()))
    }

    #[test]
    fn the_six_statuses_that_end_an_attempt_are_read() {
        for status in NotificationStatus::ALL {
            let body = format!(r#"{{"name":"b","path":"a/b","status":"{status}","detail":"d","new":[1]}}"#);
            let read = read(&body, None).unwrap();
            assert_eq!((read.status, read.detail.as_deref()), (*status, Some("d")));
        }
    }

    #[test]
    fn a_status_that_ends_no_attempt_or_is_missing_is_refused_by_name() {
        for status in [
            r#""native""#,
            r#""pre_import_in_progress""#,
            r#""import_in_progress""#,
            r#""done""#,
            r#""""#,
            "7",
            "null",
            r#""IMPORT_COMPLETE""#,
        ] {
            let (code, message) = read(&format!(r#"{{"status":{status}}}"#), None).unwrap_err();
            assert_eq!(code, StatusCode::BAD_REQUEST, "{status}");
            assert!(message.contains("field status"), "{message}");
        }
        let (code, message) = read(r#"{"name":"b"}"#, None).unwrap_err();
        assert_eq!(code, StatusCode::BAD_REQUEST);
        assert!(message.contains("`status`"), "{message}");
    }

    #[test]
    fn the_detail_is_cut_to_255_characters_and_may_be_missing() {
        let long = "ü".repeat(300);
        let read_detail = |body: String| read(&body, None).unwrap().detail;
        let detail = read_detail(format!(r#"{{"status":"import_failed","detail":"{long}"}}"#));
        assert_eq!(detail, Some("ü".repeat(255)));
        assert_eq!(read_detail(r#"{"status":"import_failed"}"#.to_owned()), None);
        assert_eq!(read_detail(r#"{"status":"import_failed","detail":null}"#.to_owned()), None);
    }

    #[test]
    fn a_detail_that_the_database_could_not_hold_is_kept_without_what_hinders() {
        let read = read("{\"status\":\"import_failed\",\"detail\":\"a\\u0000b\"}", None).unwrap();
        assert_eq!(read.detail.as_deref(), Some("a\u{fffd}b"));
    }

    #[test]
    fn the_attempt_is_a_uuid_or_nothing() {
        let body = r#"{"status":"import_complete"}"#;
        let id = "0190b7a2-5c1f-7cc0-8f6e-1d2c3b4a5f60";
        assert_eq!(read(body, Some(id)).unwrap().attempt.unwrap().to_string(), id);
        for other in ["", "01HZX3", "Root=1-5759e988-bd862e3fe1be46a994272793"] {
            assert_eq!(read(body, Some(other)).unwrap().attempt, None, "{other}");
        }
        assert_eq!(read(body, None).unwrap().attempt, None);
    }
}
