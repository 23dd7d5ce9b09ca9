use http::HeaderMap;
use lambda_http::Request;

use super::Problem;
use crate::migration::{
    AttemptId, NotificationStatus,
    foreign::{decode_json, keep, read_members},
};

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

impl NotificationRequest {
    /// Reads the registry's body `{name, path, status, detail}` and its `X-Request-ID`.
    ///
    /// The address and the status decide. A notification is sent once and never again, so everything else is read
    /// as far as it can be: the detail is of any type and length, the members are in any number, and the content
    /// type is not looked at.
    ///
    /// # Errors
    /// A 400 for what is not one JSON object, for one that has no status or two different ones, and for a status
    /// that ends no attempt.
    pub fn of(request: &Request) -> Result<Self, Problem> {
        const STATUS: usize = 0;
        const DETAIL: usize = 1;
        let wrong =
            |reason: &str| Problem::bad_request(format!("the body's field status is wrong: {reason}"));
        let text = decode_json(request.body());
        let members = read_members(&text, ["status", "detail"]).map_err(|error| unreadable(&text, &error))?;
        if members.is_contradicted(STATUS) {
            return Err(wrong("it is given more than once, with different values"));
        }
        let said = members.string(STATUS).ok_or_else(|| wrong("the body's `status` must be a string"))?;
        let status =
            NotificationStatus::parse(&keep(&said)).map_err(|unknown| wrong(&unknown.to_string()))?;
        Ok(Self { status, detail: members.text(DETAIL), attempt: attempt(request.headers()) })
    }
}

fn unreadable(text: &str, error: &serde_json::Error) -> Problem {
    if text.trim_ascii().is_empty() {
        return Problem::bad_request("the body is empty: send a JSON object");
    }
    Problem::bad_request(format!("the body is not one JSON object: {error}"))
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
    fn refuses_a_missing_or_unknown_status_by_name() {
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
    fn no_notification_is_lost_to_what_does_not_decide() {
        let large = "x".repeat(1 << 20);
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        for (what, body, detail) in [
            ("a NUL", r#"{"status":"import_failed","detail":"a\u0000b"}"#, Some("a\u{fffd}b")),
            ("half a pair", r#"{"status":"import_failed","detail":"a\ud800b"}"#, Some("a\u{fffd}b")),
            ("a number", r#"{"status":"import_failed","detail":7}"#, Some("7")),
            ("a number that no type holds", r#"{"status":"import_failed","detail":1e999}"#, Some("1e999")),
            ("a truth", r#"{"status":"import_failed","detail":false}"#, Some("false")),
            ("a list", r#"{"status":"import_failed","detail":["a"]}"#, Some(r#"["a"]"#)),
            ("an object", r#"{"status":"import_failed","detail":{"a":1}}"#, Some(r#"{"a":1}"#)),
            ("twice", r#"{"status":"import_failed","detail":"a","detail":"b"}"#, Some("b")),
            ("its status twice", r#"{"status":"import_failed","status":"import_failed"}"#, None),
            ("a name of any type", r#"{"name":[],"path":{"\udfff":0},"status":"import_failed"}"#, None),
            ("a byte order mark", "\u{feff}{\"status\":\"import_failed\"}", None),
            ("length", &format!(r#"{{"status":"import_failed","new":"{large}"}}"#), None),
            ("depth", &format!(r#"{{"new":{deep},"status":"import_failed"}}"#), None),
        ] {
            let read = read(body, None).unwrap_or_else(|refused| panic!("{what}: {refused:?}"));
            assert_eq!(
                (read.status, read.detail.as_deref()),
                (NotificationStatus::ImportFailed, detail),
                "{what}"
            );
        }
        let latin = Request::new(b"{\"status\":\"import_failed\",\"detail\":\"gr\xfcn\"}".to_vec().into());
        assert_eq!(NotificationRequest::of(&latin).unwrap().detail.as_deref(), Some("gr\u{fffd}n"));
        for kind in ["text/plain", "application/x-www-form-urlencoded", "a,a", "", "\u{fc}"] {
            let mut request = Request::new(r#"{"status":"import_failed"}"#.into());
            request.headers_mut().insert("content-type", kind.parse().unwrap());
            assert!(NotificationRequest::of(&request).is_ok(), "{kind}");
        }
    }

    #[test]
    fn what_does_not_say_one_status_is_refused() {
        for body in [
            "",
            " ",
            "\u{feff}",
            "import_failed",
            r#""import_failed""#,
            r#"["import_failed"]"#,
            r#"[{"status":"import_failed"}]"#,
            r#"{"status":["import_failed"]}"#,
            r#"{"status":"import_failed\u0000"}"#,
            r#"{"status":" import_failed"}"#,
            r#"{"status":"import_failed","status":"import_complete"}"#,
            r#"{"status":"import_failed"}{}"#,
            r#"{"status":"import_failed""#,
            "status=import_failed",
        ] {
            assert_eq!(read(body, None).unwrap_err().0, StatusCode::BAD_REQUEST, "{body}");
        }
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
