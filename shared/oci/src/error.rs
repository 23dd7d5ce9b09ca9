//! What went wrong, in the words of whoever copies: the same words for a source and a target.

use std::{fmt, time::Duration};

use serde::Deserialize;
use serde_json::value::RawValue;

/// How much of what a registry says is kept.
const MOST_SAID: usize = 200;

/// Why something is not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Cause {
    /// The credentials are missing or wrong, or the token's realm does not take them.
    Unauthorized,
    /// The registry knows us and does not allow it.
    Denied,
    /// The registry does not have it.
    NotFound,
    /// Too many requests; or the floor of `ratelimit-remaining` is reached.
    RateLimited,
    /// There is no more room, or no more of a kind is allowed.
    Quota,
    /// Another manifest stands under a tag that may not be changed.
    Conflict,
    /// The registry does not take manifests of this type.
    UnsupportedMediaType,
    /// The registry lacks what a manifest names: a child, a configuration, a layer.
    BlobUnknown,
    /// The manifest is none, or the registry does not take it.
    ManifestInvalid,
    /// More bytes than anybody takes.
    TooLarge,
    /// The upload is gone with all its parts: see whether the blob is there, then begin it anew.
    UploadLost,
    /// The bytes are not those that the digest names.
    DigestMismatch,
    /// There are fewer or more bytes than the descriptor says.
    SizeMismatch,
    /// No answer: no connection, a connection that was cut, silence, a 5xx.
    Unavailable,
    /// 500 to the same manifest each time: the registry cannot read what it has, or does not take what is sent.
    ServerError,
    /// The time was over.
    Deadline,
    /// A redirect or a name leads to an address where nobody may be sent.
    ForbiddenAddress,
    /// The registry names a realm for its tokens that credentials are not given to.
    ForeignRealm,
    /// The answer is not what the protocol allows.
    Protocol,
}

impl Cause {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Denied => "denied",
            Self::NotFound => "not_found",
            Self::RateLimited => "rate_limited",
            Self::Quota => "quota",
            Self::Conflict => "conflict",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::BlobUnknown => "blob_unknown",
            Self::ManifestInvalid => "manifest_invalid",
            Self::TooLarge => "too_large",
            Self::UploadLost => "upload_lost",
            Self::DigestMismatch => "digest_mismatch",
            Self::SizeMismatch => "size_mismatch",
            Self::Unavailable => "unavailable",
            Self::ServerError => "server_error",
            Self::Deadline => "deadline",
            Self::ForbiddenAddress => "forbidden_address",
            Self::ForeignRealm => "foreign_realm",
            Self::Protocol => "protocol",
        }
    }

    /// Whether the same may succeed later, without anybody's doing.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::RateLimited | Self::Unavailable | Self::Deadline)
    }

    /// What an answer with `status`, the first error's code and its words means.
    pub(crate) fn of(status: u16, code: Option<&str>, said: &str) -> Self {
        let said = said.to_ascii_lowercase();
        let code = code.unwrap_or_default();
        let is_code = |codes: &[&str]| codes.contains(&code);
        match status {
            401 => Self::Unauthorized,
            429 => Self::RateLimited,
            408 | 500..=506 | 508..=599 => Self::Unavailable,
            507 => Self::Quota,
            _ if is_code(&["TOOMANYREQUESTS"]) => Self::RateLimited,
            _ if said.contains("quota") || said.contains("limit exceeded") => Self::Quota,
            _ if is_code(&["BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"]) => Self::UploadLost,
            _ if is_code(&["MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"]) => Self::BlobUnknown,
            409 | 412 => Self::Conflict,
            _ if said.contains("immutable") => Self::Conflict,
            413 => Self::TooLarge,
            415 => Self::UnsupportedMediaType,
            _ if is_code(&["UNSUPPORTED"]) && status != 405 => Self::UnsupportedMediaType,
            _ if is_code(&["MANIFEST_INVALID", "MANIFEST_UNVERIFIED"]) => Self::ManifestInvalid,
            _ if is_code(&["DIGEST_INVALID"]) => Self::DigestMismatch,
            _ if is_code(&["SIZE_INVALID"]) => Self::SizeMismatch,
            403 => Self::Denied,
            _ if is_code(&["DENIED"]) => Self::Denied,
            _ if is_code(&["UNAUTHORIZED"]) => Self::Unauthorized,
            404 | 410 => Self::NotFound,
            _ => Self::Protocol,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known of the request that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Nobody can have received it.
    No,
    /// Somebody may have received it, whole or in part, and done it.
    Maybe,
    /// It was answered.
    Answered,
}

/// Something is not to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Why.
    pub cause: Cause,
    /// What was asked for, such as `get manifest`.
    pub operation: &'static str,
    /// The answer's status, where there was one.
    pub status: Option<u16>,
    /// The first error's code in the answer, such as `MANIFEST_INVALID`.
    pub code: Option<String>,
    /// What the registry said, or what is known: at most 200 printable characters, without any secret of ours.
    pub said: String,
    /// When the registry wants to be asked again, where it said so.
    pub retry_after: Option<Duration>,
    /// What is known of the request.
    pub sent: Sent,
}

impl Error {
    /// An error that no answer says.
    pub(crate) fn new(cause: Cause, operation: &'static str, said: impl AsRef<str>) -> Self {
        let said = printable(said.as_ref());
        Self { cause, operation, status: None, code: None, said, retry_after: None, sent: Sent::Answered }
    }

    /// The same, where `sent` is what is known of the request.
    pub(crate) const fn with_sent(mut self, sent: Sent) -> Self {
        self.sent = sent;
        self
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    /// The cause first, so that lists can be grouped by it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause, self.operation)?;
        if let Some(status) = self.status {
            write!(f, ": {status}")?;
        }
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        if !self.said.is_empty() {
            write!(f, ": {}", self.said)?;
        }
        Ok(())
    }
}

/// The first error of an answer's body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub code: Option<String>,
    pub words: String,
}

impl Said {
    /// Reads `{"errors":[{"code":"…","message":"…","detail":…}]}`, or else takes a body that is text.
    pub fn read(body: &[u8], is_text: bool) -> Self {
        #[derive(Deserialize)]
        struct Body<'a> {
            #[serde(borrow)]
            errors: Vec<&'a RawValue>,
        }
        #[derive(Deserialize)]
        struct Entry<'a> {
            code: Option<String>,
            message: Option<String>,
            #[serde(borrow)]
            detail: Option<&'a RawValue>,
        }
        let entry = serde_json::from_slice::<Body<'_>>(body).ok().and_then(|body| {
            body.errors.first().and_then(|entry| serde_json::from_str::<Entry<'_>>(entry.get()).ok())
        });
        let Some(Entry { code, message, detail }) = entry else {
            let words = if is_text { printable(&String::from_utf8_lossy(body)) } else { String::new() };
            return Self { code: None, words };
        };
        let code = code.filter(|code| is_code(code));
        let detail =
            detail.map(RawValue::get).filter(|detail| !matches!(*detail, "null" | "{}" | "[]" | "\"\""));
        let words = match (message, detail) {
            (Some(message), Some(detail)) => format!("{message} {detail}"),
            (Some(message), None) => message,
            (None, detail) => detail.unwrap_or_default().to_owned(),
        };
        Self { code, words: printable(&words) }
    }
}

/// Whether an error's code is written as registries write theirs.
fn is_code(code: &str) -> bool {
    let is_written = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=60).contains(&code.len()) && code.bytes().all(is_written)
}

/// Foreign text on one line, cut, without what moves a cursor or turns the writing's direction.
pub(crate) fn printable(text: &str) -> String {
    let is_plain = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let text: String = text.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c }).collect();
    text.trim().chars().filter(is_plain).take(MOST_SAID).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Cause, Error, Said, printable};

    #[test]
    fn reads_a_registrys_error() {
        let body =
            br#"{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid","detail":{"a":1}},{}]}"#;
        let said = Said::read(body, false);
        assert_eq!(said.code.as_deref(), Some("MANIFEST_INVALID"));
        assert_eq!(said.words, r#"manifest invalid {"a":1}"#);
        let said = Said::read(br#"{"errors":[{"code":"no code\n","message":"x"}]}"#, false);
        assert_eq!((said.code, said.words.as_str()), (None, "x"));
        assert_eq!(Said::read(b"404 page not found\n", true).words, "404 page not found");
        assert_eq!(Said::read(b"<html>", false), Said::default());
    }

    #[test]
    fn keeps_foreign_text_on_one_short_line() {
        assert_eq!(printable("a\r\nb\u{1b}[31mc\u{202e}d"), "a  b[31mcd");
        assert_eq!(printable(&"x".repeat(1000)).len(), 200);
    }

    #[test]
    fn tells_a_cause_by_status_code_and_words() {
        for (status, code, said, cause) in [
            (401, "UNAUTHORIZED", "", Cause::Unauthorized),
            (403, "DENIED", "requested access to the resource is denied", Cause::Denied),
            (403, "DENIED", "adding 1 MiB will exceed the configured quota", Cause::Quota),
            (429, "", "", Cause::RateLimited),
            (400, "TOOMANYREQUESTS", "", Cause::RateLimited),
            (404, "NAME_UNKNOWN", "", Cause::NotFound),
            (404, "BLOB_UPLOAD_INVALID", "", Cause::UploadLost),
            (404, "MANIFEST_BLOB_UNKNOWN", "", Cause::BlobUnknown),
            (400, "MANIFEST_INVALID", "", Cause::ManifestInvalid),
            (400, "TAG_INVALID", "The image tag is immutable", Cause::Conflict),
            (412, "PRECONDITION", "", Cause::Conflict),
            (415, "", "", Cause::UnsupportedMediaType),
            (413, "", "", Cause::TooLarge),
            (507, "", "", Cause::Quota),
            (503, "", "", Cause::Unavailable),
            (400, "DIGEST_INVALID", "", Cause::DigestMismatch),
            (405, "UNSUPPORTED", "", Cause::Protocol),
            (418, "", "", Cause::Protocol),
        ] {
            let code = Some(code).filter(|code| !code.is_empty());
            assert_eq!(Cause::of(status, code, said), cause, "{status} {code:?} {said}");
        }
    }

    #[test]
    fn says_the_cause_first() {
        let mut error = Error::new(Cause::Quota, "put manifest", "full");
        error.status = Some(403);
        error.code = Some("DENIED".to_owned());
        assert_eq!(error.to_string(), "quota: put manifest: 403 DENIED: full");
    }

    proptest! {
        #[test]
        fn survives_any_body(body: Vec<u8>, is_text: bool) {
            let said = Said::read(&body, is_text);
            prop_assert!(said.words.chars().count() <= 200);
            prop_assert!(!said.words.chars().any(char::is_control));
        }
    }
}
