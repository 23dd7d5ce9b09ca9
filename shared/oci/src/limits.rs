//! How fast a registry is asked, and what was asked of it.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

/// What a registry is asked to do. Registries limit each of them on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Say who we are, and what it is.
    Check,
    /// A page of the catalogue or of a repository's tags.
    List,
    /// HEAD of a manifest.
    HeadManifest,
    /// GET of a manifest.
    GetManifest,
    /// PUT of a manifest.
    PutManifest,
    /// What refers to a manifest.
    Referrers,
    /// HEAD of a blob.
    HeadBlob,
    /// GET of a blob, or of a part of it.
    GetBlob,
    /// POST of an upload, or of a mount.
    BeginUpload,
    /// PATCH of an upload.
    UploadPart,
    /// PUT of an upload.
    FinishUpload,
    /// GET and DELETE of an upload.
    Upload,
    /// DELETE of a tag.
    DeleteTag,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 13] = [
        Self::Check,
        Self::List,
        Self::HeadManifest,
        Self::GetManifest,
        Self::PutManifest,
        Self::Referrers,
        Self::HeadBlob,
        Self::GetBlob,
        Self::BeginUpload,
        Self::UploadPart,
        Self::FinishUpload,
        Self::Upload,
        Self::DeleteTag,
    ];

    /// Its name, as settings write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::List => "list",
            Self::HeadManifest => "head-manifest",
            Self::GetManifest => "get-manifest",
            Self::PutManifest => "put-manifest",
            Self::Referrers => "referrers",
            Self::HeadBlob => "head-blob",
            Self::GetBlob => "get-blob",
            Self::BeginUpload => "begin-upload",
            Self::UploadPart => "upload-part",
            Self::FinishUpload => "finish-upload",
            Self::Upload => "upload",
            Self::DeleteTag => "delete-tag",
        }
    }

    /// The action of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}

/// How fast a registry is asked. A setting: it may be changed while requests are under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Requests per second, of all actions together. None: as many as it takes.
    pub requests_per_second: Option<f64>,
    /// Requests per second of single actions.
    pub actions: BTreeMap<Action, f64>,
    /// Bytes of blobs and manifests per second, both directions together.
    pub bytes_per_second: Option<u64>,
    /// The most requests that are under way at once. Fewer are where the registry gets slow.
    pub in_flight: usize,
    /// What must be left of `ratelimit-remaining`: other users of the address need it too.
    pub floor: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_second: None,
            actions: BTreeMap::new(),
            bytes_per_second: None,
            in_flight: 64,
            floor: None,
        }
    }
}

/// What was asked of a registry since the client was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests that were sent, by action.
    pub requests: BTreeMap<Action, u64>,
    /// Bytes of bodies that were sent.
    pub sent: u64,
    /// Bytes of bodies that were received.
    pub received: u64,
    /// Answers 429.
    pub rate_limited: u64,
}

/// Counts it.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    requests: [AtomicU64; Action::ALL.len()],
    sent: AtomicU64,
    received: AtomicU64,
    rate_limited: AtomicU64,
}

impl Counters {
    pub fn request(&self, action: Action) {
        self.requests[action as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub fn rate_limited(&self) {
        self.rate_limited.fetch_add(1, Ordering::Relaxed);
    }

    pub fn read(&self) -> Traffic {
        let count = |action: &Action| self.requests[*action as usize].load(Ordering::Relaxed);
        let requests =
            Action::ALL.iter().map(|action| (*action, count(action))).filter(|(_, count)| *count > 0);
        Traffic {
            requests: requests.collect(),
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            rate_limited: self.rate_limited.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Action;

    #[test]
    fn finds_each_action_by_its_own_name() {
        let names: BTreeSet<&str> = Action::ALL.iter().map(|action| action.name()).collect();
        assert_eq!(names.len(), Action::ALL.len());
        for (place, action) in Action::ALL.into_iter().enumerate() {
            assert_eq!((Action::named(action.name()), action as usize), (Some(action), place));
        }
        assert_eq!(Action::named("PUT"), None);
    }
}
