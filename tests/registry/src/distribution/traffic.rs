//! The journal of every request, to count or to wait for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::lock::lock;

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `/v2/`
    Ping,
    /// `/token`
    Token,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/<name>/tags/list`
    Tags,
    /// `/v2/<name>/manifests/<reference>`
    Manifest,
    /// `/v2/<name>/referrers/<digest>`
    Referrers,
    /// `/v2/<name>/blobs/<digest>`
    Blob,
    /// A POST that begins an upload and names a blob to mount instead.
    Mount,
    /// Any other POST that begins an upload.
    UploadBegin,
    /// `/v2/<name>/blobs/uploads/<id>`
    Upload,
    /// What a blob was redirected to.
    File,
    /// Anything else.
    Other,
}

impl Kind {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Token => "token",
            Self::Catalog => "catalog",
            Self::Tags => "tags",
            Self::Manifest => "manifest",
            Self::Referrers => "referrers",
            Self::Blob => "blob",
            Self::Mount => "mount",
            Self::UploadBegin => "upload_begin",
            Self::Upload => "upload",
            Self::File => "file",
            Self::Other => "other",
        }
    }
}

/// How a request said who sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credentials {
    /// Not at all.
    None,
    /// By name and password.
    Basic,
    /// By a token.
    Bearer,
    /// In another way.
    Other,
}

/// One request and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its place in the order of arrival, from 1.
    pub number: u64,
    /// When it arrived.
    pub at: Timestamp,
    /// Which registry received it.
    pub side: String,
    /// `GET`, `PUT`, …
    pub method: String,
    /// The path, decoded.
    pub path: String,
    /// The query as it came, without the `?`.
    pub query: String,
    /// What it is about.
    pub kind: Kind,
    /// The container repository.
    pub repository: Option<String>,
    /// The tag, digest or upload id; of a mount the digest, of a closing PUT the digest that it names.
    pub reference: Option<String>,
    /// The request's `Range`.
    pub range: Option<String>,
    /// The request's `Content-Range`.
    pub content_range: Option<String>,
    /// How it said who sends it.
    pub credentials: Credentials,
    /// The answer's status; `None` while there is none, and for ever when the connection was cut before it.
    pub status: Option<u16>,
    /// `errors[0].code` of the answer.
    pub code: Option<String>,
    /// Bytes of its body that arrived.
    pub received: u64,
    /// Bytes of the answer's body that left.
    pub sent: u64,
    /// The first byte of the blob that the answer holds, where it holds a blob's bytes.
    pub from: Option<u64>,
    /// The bytes that an upload held before it and after it.
    pub upload: Option<(u64, u64)>,
    /// The blob that it ended the upload of.
    pub stored: Option<String>,
    /// Whether its answer has left whole or was cut.
    pub ended: bool,
}

/// The journal of one registry.
#[derive(Debug)]
pub struct Traffic {
    pages: Mutex<Pages>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Pages {
    last: u64,
    records: BTreeMap<u64, Record>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self { pages: Mutex::default(), changed: watch::channel(()).0 }
    }
}

impl Traffic {
    /// All requests so far, in the order in which they arrived.
    pub fn records(&self) -> Vec<Record> {
        lock(&self.pages).records.values().cloned().collect()
    }

    /// How many requests are as `wanted` says.
    pub fn count(&self, wanted: impl Fn(&Record) -> bool) -> usize {
        lock(&self.pages).records.values().filter(|record| wanted(record)).count()
    }

    /// How many requests there were by method and kind, as `PATCH upload`.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for record in lock(&self.pages).records.values() {
            *counts.entry(format!("{} {}", record.method, record.kind.as_str())).or_insert(0) += 1;
        }
        counts
    }

    /// How many bytes of blobs were read: answered by the registry or by the files' address.
    pub fn blob_bytes_read(&self) -> u64 {
        let pages = lock(&self.pages);
        pages.records.values().filter(|record| record.from.is_some()).map(|record| record.sent).sum()
    }

    /// How many bytes of blobs arrived, those of uploads that came to nothing among them.
    pub fn blob_bytes_received(&self) -> u64 {
        let uploads = |record: &&Record| matches!(record.kind, Kind::Upload | Kind::UploadBegin);
        lock(&self.pages).records.values().filter(uploads).map(|record| record.received).sum()
    }

    /// The repository and digest of every request that ended an upload, in their order.
    pub fn blobs_stored(&self) -> Vec<(String, String)> {
        let pages = lock(&self.pages);
        let stored = |record: &Record| Some((record.repository.clone()?, record.stored.clone()?));
        pages.records.values().filter_map(stored).collect()
    }

    /// Forgets what is finished.
    pub fn clear(&self) {
        lock(&self.pages).records.retain(|_, record| !record.ended);
    }

    /// Waits until `holds` is true of the journal. False when `at_most` has passed without that.
    #[must_use]
    pub async fn wait_until(&self, at_most: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let mut changed = self.changed.subscribe();
        let waiting = async {
            while !holds(self) {
                if changed.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(at_most, waiting).await.is_ok()
    }

    /// Opens a record. `record.number` is set here.
    pub(super) fn begin(self: &Arc<Self>, mut record: Record) -> Ticket {
        let mut pages = lock(&self.pages);
        pages.last += 1;
        record.number = pages.last;
        let number = record.number;
        pages.records.insert(number, record);
        drop(pages);
        self.changed.send_replace(());
        Ticket { end: Arc::new(End { traffic: Arc::clone(self), number }) }
    }

    fn change(&self, number: u64, change: impl FnOnce(&mut Record)) {
        if let Some(record) = lock(&self.pages).records.get_mut(&number) {
            change(record);
        }
        self.changed.send_replace(());
    }
}

/// The right to write on one record. The record ends with its last copy.
#[derive(Debug, Clone)]
pub(super) struct Ticket {
    end: Arc<End>,
}

#[derive(Debug)]
struct End {
    traffic: Arc<Traffic>,
    number: u64,
}

impl Drop for End {
    fn drop(&mut self) {
        self.traffic.change(self.number, |record| record.ended = true);
    }
}

impl Ticket {
    pub(super) fn note(&self, change: impl FnOnce(&mut Record)) {
        self.end.traffic.change(self.end.number, change);
    }
}
