use http::{HeaderName, HeaderValue, StatusCode, header};
use lambda_http::{Body, Response};
use serde::Serialize;

use super::{Problem, RequestId};

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A successful answer: `body` as JSON, with the request's id in `x-request-id`. What cannot be written as
/// JSON is a defect and is answered as one.
pub fn json<T: Serialize>(status: StatusCode, body: &T, id: &RequestId) -> Response<Body> {
    match serde_json::to_string(body) {
        Ok(text) => response(status, HeaderValue::from_static("application/json"), text, id),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written as JSON");
            Problem::defect().into_response(id)
        }
    }
}

/// A 200 with an HTML document, and with the request's id in `x-request-id`. It is not cached unless the caller of this
/// says otherwise.
pub fn document(text: String, id: &RequestId) -> Response<Body> {
    response(StatusCode::OK, HeaderValue::from_static("text/html; charset=utf-8"), text, id)
}

/// 304: the caller has what there is. Without a body, with the request's id.
pub fn not_modified(id: &RequestId) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response.headers_mut().insert(X_REQUEST_ID, id.header());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Ends a handler: the answer it made, or its problem as an answer.
pub fn respond(outcome: Result<Response<Body>, Problem>, id: &RequestId) -> Response<Body> {
    outcome.unwrap_or_else(|problem| problem.into_response(id))
}

pub(super) fn response(
    status: StatusCode,
    kind: HeaderValue,
    text: String,
    id: &RequestId,
) -> Response<Body> {
    let mut response = Response::new(Body::Text(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response.headers_mut().insert(X_REQUEST_ID, id.header());
    // The answers speak of rows that change while a caller looks at them.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::{json, respond};
    use crate::web::{Problem, RequestId};
    use http::StatusCode;

    #[test]
    fn a_success_carries_json_and_the_request_id() {
        let answer = json(StatusCode::ACCEPTED, &serde_json::json!({"version": 3}), &RequestId::new("r-1"));
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        assert_eq!(answer.headers()["content-type"], "application/json");
        assert_eq!(answer.headers()["x-request-id"], "r-1");
        assert_eq!(&answer.body()[..], br#"{"version":3}"#);
    }

    #[test]
    fn hides_why_an_answer_cannot_be_json() {
        let unwritable = std::collections::BTreeMap::from([((1, 2), 3)]);
        let answer = json(StatusCode::OK, &unwritable, &RequestId::new("r-1"));
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!String::from_utf8_lossy(&answer.body()[..]).contains("key"));
    }

    #[test]
    fn a_problem_ends_a_handler_as_an_answer() {
        let answer = respond(Err(Problem::not_found("no such repository")), &RequestId::new("r-1"));
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert_eq!(answer.headers()["x-request-id"], "r-1");
    }
}
