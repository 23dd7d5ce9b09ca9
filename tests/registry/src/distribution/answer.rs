//! Answers as distribution writes them.

use axum::body::Body;
use axum::response::Response;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::config::Personality;

/// `errors[0].code` of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    Denied,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameUnknown,
    PaginationNumberInvalid,
    RangeInvalid,
    SizeInvalid,
    TagInvalid,
    Unauthorized,
    Unknown,
}

impl Code {
    fn parts(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::BlobUnknown => ("BLOB_UNKNOWN", 404, "blob unknown to registry"),
            Self::BlobUploadInvalid => ("BLOB_UPLOAD_INVALID", 404, "blob upload invalid"),
            Self::BlobUploadUnknown => ("BLOB_UPLOAD_UNKNOWN", 404, "blob upload unknown to registry"),
            Self::Denied => ("DENIED", 403, "requested access to the resource is denied"),
            Self::DigestInvalid => ("DIGEST_INVALID", 400, "provided digest did not match uploaded content"),
            Self::ManifestBlobUnknown => ("MANIFEST_BLOB_UNKNOWN", 400, "blob unknown to registry"),
            Self::ManifestInvalid => ("MANIFEST_INVALID", 400, "manifest invalid"),
            Self::ManifestUnknown => ("MANIFEST_UNKNOWN", 404, "manifest unknown"),
            Self::NameUnknown => ("NAME_UNKNOWN", 404, "repository name not known to registry"),
            Self::PaginationNumberInvalid => {
                ("PAGINATION_NUMBER_INVALID", 400, "invalid number of results requested")
            }
            Self::RangeInvalid => ("RANGE_INVALID", 416, "invalid content range"),
            Self::SizeInvalid => ("SIZE_INVALID", 400, "provided length did not match content length"),
            Self::TagInvalid => ("TAG_INVALID", 400, "manifest tag did not match URI"),
            Self::Unauthorized => ("UNAUTHORIZED", 401, "authentication required"),
            Self::Unknown => ("UNKNOWN", 500, "unknown error"),
        }
    }

    /// `{"code","message"}` and, where there is one, `detail`.
    pub(super) fn entry(self, detail: Option<Value>) -> Value {
        let (word, _, message) = self.parts();
        match detail {
            Some(detail) => json!({"code": word, "message": message, "detail": detail}),
            None => json!({"code": word, "message": message}),
        }
    }

    fn status(self) -> StatusCode {
        StatusCode::from_u16(self.parts().1).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// On an answer: its error code, for the journal.
#[derive(Debug, Clone)]
pub(super) struct Said(pub String);

/// Writes answers as one personality does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Writer(pub Personality);

impl Writer {
    pub(super) fn json(self, status: StatusCode, body: &Value) -> Response {
        let kind = if self.0.is_third() { "application/json" } else { "application/json; charset=utf-8" };
        let mut response = bytes(status, kind, format!("{body}\n"));
        if let Some(code) = body["errors"][0]["code"].as_str() {
            response.extensions_mut().insert(Said(code.to_owned()));
        }
        response
    }

    pub(super) fn error(self, code: Code, detail: impl Into<Value>) -> Response {
        self.errors(&[code.entry(Some(detail.into()))], code)
    }

    pub(super) fn bare_error(self, code: Code) -> Response {
        self.errors(&[code.entry(None)], code)
    }

    /// Several errors with the status of one.
    pub(super) fn errors(self, entries: &[Value], status_of: Code) -> Response {
        self.json(status_of.status(), &json!({"errors": entries}))
    }

    /// What distribution 3 says in a sentence and distribution 2 not at all.
    pub(super) fn explained(self, code: Code, sentence: &str) -> Response {
        match self.0 {
            Personality::Distribution2 => self.error(code, json!({})),
            Personality::Distribution3 => self.error(code, sentence),
        }
    }

    /// An error code with a sentence of its own.
    pub(super) fn worded(self, code: Code, message: &str) -> Response {
        let mut entry = code.entry(None);
        entry["message"] = message.into();
        self.errors(&[entry], code)
    }
}

pub(super) fn bytes(status: StatusCode, kind: &str, body: String) -> Response {
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    set(response.headers_mut(), CONTENT_TYPE, kind);
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(0));
    }
    response
}

pub(super) fn not_found() -> Response {
    bytes(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "404 page not found\n".to_owned())
}

pub(super) fn not_allowed(allowed: &str) -> Response {
    let body = "Method not allowed\n".to_owned();
    let mut response = bytes(StatusCode::METHOD_NOT_ALLOWED, "text/plain; charset=utf-8", body);
    set(response.headers_mut(), ALLOW, allowed);
    response
}

pub(super) fn redirect(status: StatusCode, to: &str) -> Response {
    located(empty(status), to)
}

pub(super) fn located(mut response: Response, location: &str) -> Response {
    set(response.headers_mut(), LOCATION, location);
    response
}

/// What cannot stand in a header is left out.
pub(super) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
pub(super) const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
pub(super) const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
