//! Answers that are the same everywhere.

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use serde::Serialize;
use serde_json::json;

use crate::error_code::ErrorCode;

/// On an answer: do not write it, cut the connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CutConnection;

/// On an answer: the error code in its body, for the journal.
#[derive(Debug, Clone)]
pub(super) struct Code(pub String);

pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// What Go's HTTP library answers on its own: a line of text.
pub(super) fn plain(status: StatusCode, text: &str) -> Response {
    let mut response = Response::new(Body::from(format!("{text}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

pub(super) fn not_found() -> Response {
    plain(StatusCode::NOT_FOUND, "404 page not found")
}

pub(super) fn method_not_allowed(allowed: &[Method]) -> Response {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed");
    let list: Vec<&str> = allowed.iter().map(Method::as_str).collect();
    if let Ok(value) = HeaderValue::from_str(&list.join(", ")) {
        response.headers_mut().insert(http::header::ALLOW, value);
    }
    response
}

pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let Ok(body) = serde_json::to_vec(body) else { return empty(StatusCode::INTERNAL_SERVER_ERROR) };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// `{"errors":[{"code","message","detail"}]}` with the status that belongs to the code.
pub(super) fn error(code: ErrorCode, detail: &impl Serialize) -> Response {
    let status = StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    error_as(status, &code.as_string(), code.message(), detail)
}

/// The same for a code that may be anything.
pub(super) fn error_as(status: StatusCode, code: &str, message: &str, detail: &impl Serialize) -> Response {
    let body = json!({"errors": [{"code": code, "message": message, "detail": detail}]});
    let mut response = json(status, &body);
    response.extensions_mut().insert(Code(code.to_owned()));
    response
}
