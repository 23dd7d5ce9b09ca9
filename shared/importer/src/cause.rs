//! Why something was not copied, in a word that lists can be grouped by.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a tag or a repository was not copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The source lacks a part of it, or has other bytes than it says.
    SourceBroken,
    /// The source was pushed to again and again while its tags were written.
    SourceChanging,
    /// The target has other bytes than were written, or loses what it took.
    TargetBroken,
    /// The target has something else under a tag that it does not let change.
    Conflict,
    /// The target has no room for it.
    Quota,
    /// A registry refuses the credentials, or what they may.
    Unauthorized,
    /// A registry has no such repository.
    NotFound,
    /// A registry was asked too often, for longer than was waited.
    RateLimited,
    /// The target does not take this kind of manifest, or it cannot be copied as it is.
    UnsupportedMediaType,
    /// The target refuses it as it is.
    Refused,
    /// A registry cannot be reached, or breaks off.
    Unavailable,
    /// A registry answers what cannot be understood.
    Protocol,
}

impl Cause {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SourceBroken => "source_broken",
            Self::SourceChanging => "source_changing",
            Self::TargetBroken => "target_broken",
            Self::Conflict => "conflict",
            Self::Quota => "quota",
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not_found",
            Self::RateLimited => "rate_limited",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::Protocol => "protocol",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What cannot be copied, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The tag. None: all of the repository.
    pub tag: Option<String>,
    /// Why, in a word.
    pub cause: Cause,
    /// And in words.
    pub said: String,
}

/// Which registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Source,
    Target,
}

/// What was not done, and whether it concerns one manifest or all of the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    pub(crate) said: String,
    /// Nothing else of the repository would fare better.
    pub(crate) whole: bool,
}

impl Failure {
    /// One that concerns a manifest or a blob alone.
    pub(crate) fn of_part(cause: Cause, said: impl Into<String>) -> Self {
        Self { cause, said: said.into(), whole: false }
    }

    /// One that concerns all of the repository.
    pub(crate) fn of_all(cause: Cause, said: impl Into<String>) -> Self {
        Self { cause, said: said.into(), whole: true }
    }

    /// What a registry's error means. A failure belongs to a part of a repository where that part is what the registry
    /// objects to.
    pub(crate) fn of(side: Side, error: &oci::Error) -> Self {
        use oci::Cause as Of;
        let (cause, whole) = match (error.cause, side) {
            (Of::Unauthorized | Of::Denied, _) => (Cause::Unauthorized, true),
            (Of::RateLimited, _) => (Cause::RateLimited, true),
            (
                Of::NotFound
                | Of::BlobUnknown
                | Of::DigestMismatch
                | Of::SizeMismatch
                | Of::ManifestInvalid
                | Of::TooLarge,
                Side::Source,
            ) => (Cause::SourceBroken, false),
            (Of::NotFound, Side::Target) => (Cause::NotFound, true),
            (Of::BlobUnknown | Of::DigestMismatch | Of::SizeMismatch | Of::UploadLost, _) => {
                (Cause::TargetBroken, false)
            }
            // It has the manifest under a name, and cannot read it.
            (Of::ServerError, Side::Source) => (Cause::SourceBroken, false),
            (Of::ServerError, Side::Target) if error.operation == "put manifest" => (Cause::Refused, false),
            (Of::ServerError, Side::Target) => (Cause::TargetBroken, false),
            (Of::Quota, _) => (Cause::Quota, false),
            (Of::Conflict, _) => (Cause::Conflict, false),
            (Of::UnsupportedMediaType, _) => (Cause::UnsupportedMediaType, false),
            (Of::ManifestInvalid | Of::TooLarge, Side::Target) => (Cause::Refused, false),
            // It was answered, and to what was sent: another manifest or blob may fare better.
            (Of::Protocol, Side::Target)
                if error.status.is_some_and(|status| (400..500).contains(&status)) =>
            {
                (Cause::Refused, false)
            }
            (Of::Unavailable | Of::Deadline, _) => (Cause::Unavailable, true),
            (_, _) => (Cause::Protocol, true),
        };
        let side = match side {
            Side::Source => "source",
            Side::Target => "target",
        };
        Self { cause, said: format!("{side}: {error}"), whole }
    }

    pub(crate) fn problem(&self, tag: Option<&str>) -> Problem {
        Problem { tag: tag.map(str::to_owned), cause: self.cause, said: self.said.clone() }
    }

    /// Its words, as a row holds them.
    pub(crate) fn kept(&self) -> String {
        self.said.chars().take(255).map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect()
    }
}
