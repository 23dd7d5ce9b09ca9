//! The errors of the registry's API.

use serde::{Deserialize, Serialize};

/// `errors[0].code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the protocol's words, as they stand in its documents")]
pub enum ErrorCode {
    Unauthorized,
    ImportRateLimit,
    InvalidQueryParameterValue,
    PreImportInProgress,
    ImportInProgress,
    PreImportFailed,
    ImportRepositoryNotReady,
    PreImportCanceled,
    NameUnknown,
    PreImportRequired,
    ImportCannotBeCanceled,
    Unknown,
    Unavailable,
    Unsupported,
    NameInvalid,
    ManifestUnknown,
    ManifestInvalid,
    ManifestBlobUnknown,
    TagInvalid,
    BlobUnknown,
    BlobUploadUnknown,
    DigestInvalid,
    PaginationNumberInvalid,
}

impl ErrorCode {
    /// The HTTP status it is answered with.
    pub fn http_status(self) -> u16 {
        match self {
            Self::InvalidQueryParameterValue
            | Self::ImportCannotBeCanceled
            | Self::NameInvalid
            | Self::ManifestInvalid
            | Self::TagInvalid
            | Self::DigestInvalid
            | Self::PaginationNumberInvalid => 400,
            Self::Unauthorized => 401,
            Self::NameUnknown
            | Self::ManifestUnknown
            | Self::ManifestBlobUnknown
            | Self::BlobUnknown
            | Self::BlobUploadUnknown => 404,
            Self::Unsupported => 405,
            Self::ImportInProgress => 409,
            Self::PreImportFailed | Self::PreImportCanceled | Self::PreImportRequired => 424,
            Self::PreImportInProgress => 425,
            Self::ImportRateLimit | Self::ImportRepositoryNotReady => 429,
            Self::Unknown => 500,
            Self::Unavailable => 503,
        }
    }

    /// The sentence that goes with it. For people: programs go by the code.
    pub fn message(self) -> &'static str {
        match self {
            Self::Unauthorized => "authentication required",
            Self::ImportRateLimit => "maximum number of concurrent imports reached",
            Self::InvalidQueryParameterValue => "the value of a query parameter is invalid",
            Self::PreImportInProgress => "the repository is already being pre imported",
            Self::ImportInProgress => "the repository is already being imported",
            Self::PreImportFailed => "a previous repository pre import failed",
            Self::ImportRepositoryNotReady => "the repository is not ready for import",
            Self::PreImportCanceled => "the last repository pre import was canceled",
            Self::NameUnknown => "repository name not known to registry",
            Self::PreImportRequired => "a previous successful pre import is required",
            Self::ImportCannotBeCanceled => "the repository import or pre import cannot be canceled",
            Self::Unknown => "unknown error",
            Self::Unavailable => "service unavailable",
            Self::Unsupported => "The operation is unsupported.",
            Self::NameInvalid => "invalid repository name",
            Self::ManifestUnknown => "manifest unknown",
            Self::ManifestInvalid => "manifest invalid",
            Self::ManifestBlobUnknown => "blob unknown to registry",
            Self::TagInvalid => "manifest tag did not match URI",
            Self::BlobUnknown => "blob unknown to registry",
            Self::BlobUploadUnknown => "blob upload unknown to registry",
            Self::DigestInvalid => "provided digest did not match uploaded content",
            Self::PaginationNumberInvalid => "invalid number of results requested",
        }
    }

    /// The word on the wire.
    pub fn as_string(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(word)) => word,
            other => format!("{other:?}"),
        }
    }
}
