//! Faults on request: what a test can make a registry do to one request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::traffic::Kind;
use crate::lock::lock;
use crate::rules::When;

/// One fault: which requests it meets, which of those, and what happens.
///
/// As JSON: `{"method":"PATCH","kind":"upload","skip":2,"times":1,"effect":{"kind":"cut","when":"after"}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Only this method; without it each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Only requests about this; without it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Only this container repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Only this tag, digest or upload id; of a mount, and of a PUT that ends an upload, the digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// So many such requests pass first.
    #[serde(default)]
    pub skip: u32,
    /// It meets so many; without it all until it is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// It meets only some of them, at random. Without it each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<Chance>,
    /// What happens.
    pub effect: FaultEffect,
}

/// How likely a request is met. The same seed and the same order of requests give the same choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chance {
    /// Of 100 requests.
    pub percent: u32,
    /// What the choice is made from.
    pub seed: u64,
}

/// What a fault does to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultEffect {
    /// It is answered with this.
    Answer {
        /// The status.
        status: u16,
        /// `errors[0].code`; without it the body is empty.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// Headers, names and values.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// Whether the request has done its work by then.
        #[serde(default)]
        when: When,
    },
    /// Its answer has another value in this header, or has the header no more.
    Header {
        /// The header's name.
        name: String,
        /// Its value; without it the header is removed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
    },
    /// It is answered this much later.
    Delay {
        /// How much.
        milliseconds: u64,
    },
    /// Its connection is cut without an answer. Cut `after` its work, its answer is lost.
    Cut {
        /// Whether the request has done its work by then.
        #[serde(default)]
        when: When,
    },
    /// Its connection is cut when so many bytes of its body have arrived.
    CutRequest {
        /// How many bytes.
        after: u64,
    },
    /// Its connection is cut when so many bytes of the answer's body have left.
    CutAnswer {
        /// How many bytes.
        after: u64,
    },
    /// It stops at a point until the fault is removed.
    Hold {
        /// Where.
        at: HoldPoint,
    },
    /// Its `Range` is not looked at: the answer is a 200 from byte 0.
    IgnoreRange,
    /// One byte of the blob or manifest in its answer is another.
    FlipByte {
        /// Which one, counted from the start of the answer's body.
        at: u64,
    },
    /// The answer's body ends early, and its `Content-Length` says so too.
    Shorten {
        /// How many bytes are left.
        to: u64,
    },
    /// A HEAD for what is not there says that it is: a manifest is an image.
    Pretend {
        /// The size that it tells.
        size: u64,
    },
    /// It is answered by a 307 to this address.
    Redirect {
        /// The whole address.
        to: String,
    },
}

/// Where a request stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldPoint {
    /// Before anything is done.
    Before,
    /// After the work, before the answer.
    After,
    /// When so many bytes of its body have arrived, or, where it has none, of the answer's have left.
    Body(u64),
}

impl Fault {
    /// A fault that meets every request until it is removed.
    pub fn new(effect: FaultEffect) -> Self {
        Self {
            method: None,
            kind: None,
            repository: None,
            reference: None,
            skip: 0,
            times: None,
            chance: None,
            effect,
        }
    }

    /// A request is answered with this status and error code, nothing done.
    pub fn answer(status: u16, code: &str) -> Self {
        Self::new(FaultEffect::Answer {
            status,
            code: Some(code.to_owned()),
            headers: Vec::new(),
            when: When::Before,
        })
    }

    /// A request is refused by 429, with `Retry-After` where seconds are given.
    pub fn too_many(retry_after: Option<u64>) -> Self {
        let headers = retry_after.map(|seconds| ("retry-after".to_owned(), seconds.to_string()));
        Self::new(FaultEffect::Answer {
            status: 429,
            code: Some("TOOMANYREQUESTS".to_owned()),
            headers: headers.into_iter().collect(),
            when: When::Before,
        })
    }

    /// A request does its work, and its answer is lost.
    pub fn lost_answer() -> Self {
        Self::new(FaultEffect::Cut { when: When::After })
    }

    /// Only this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only requests about this.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Only this container repository.
    #[must_use]
    pub fn repository(mut self, path: &str) -> Self {
        self.repository = Some(path.to_owned());
        self
    }

    /// Only this tag, digest or upload id.
    #[must_use]
    pub fn reference(mut self, reference: impl ToString) -> Self {
        self.reference = Some(reference.to_string());
        self
    }

    /// Only after so many others.
    #[must_use]
    pub fn skip(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    /// Only so many times.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Only some of them, at random.
    #[must_use]
    pub fn chance(mut self, percent: u32, seed: u64) -> Self {
        self.chance = Some(Chance { percent, seed });
        self
    }
}

/// Names a fault, to remove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FaultId(pub u64);

/// The faults in force.
#[derive(Debug)]
pub struct Faults {
    book: Mutex<Book>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Book {
    last: u64,
    faults: BTreeMap<FaultId, Entry>,
    /// Those whose held requests were cut off.
    cut: BTreeSet<FaultId>,
}

#[derive(Debug)]
struct Entry {
    fault: Fault,
    met: u64,
    held: u64,
    random: Option<StdRng>,
}

impl Default for Faults {
    fn default() -> Self {
        Self { book: Mutex::default(), changed: watch::channel(()).0 }
    }
}

/// What becomes of a request that was held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Released {
    GoesOn,
    Cut,
}

/// What a fault looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub method: &'a str,
    pub kind: Kind,
    pub repository: Option<&'a str>,
    pub reference: Option<&'a str>,
}

impl Faults {
    /// Puts a fault in force. When several meet one request, all do; of several answers the oldest is given.
    pub fn add(&self, fault: Fault) -> FaultId {
        let mut book = lock(&self.book);
        book.last += 1;
        let id = FaultId(book.last);
        let random = fault.chance.map(|chance| StdRng::seed_from_u64(chance.seed));
        book.faults.insert(id, Entry { fault, met: 0, held: 0, random });
        id
    }

    /// Removes a fault; what it held goes on. False when there is no such fault.
    pub fn remove(&self, id: FaultId) -> bool {
        let removed = lock(&self.book).faults.remove(&id).is_some();
        self.changed.send_replace(());
        removed
    }

    /// Removes a fault, and cuts off what it held: as if the client had gone at that very point. False when there is no such
    /// fault.
    pub fn cut(&self, id: FaultId) -> bool {
        {
            let mut book = lock(&self.book);
            if book.faults.remove(&id).is_none() {
                return false;
            }
            book.cut.insert(id);
        }
        self.changed.send_replace(());
        true
    }

    /// Removes all faults; what they held goes on.
    pub fn clear(&self) {
        lock(&self.book).faults.clear();
        self.changed.send_replace(());
    }

    /// All faults, oldest first, with how many requests each has met. One that is used up stays until it is removed.
    pub fn list(&self) -> Vec<(FaultId, Fault, u64)> {
        let book = lock(&self.book);
        book.faults.iter().map(|(id, entry)| (*id, entry.fault.clone(), entry.met)).collect()
    }

    /// How many requests a fault has met.
    pub fn met(&self, id: FaultId) -> u64 {
        lock(&self.book).faults.get(&id).map_or(0, |entry| entry.met)
    }

    /// How many requests have come to the point at which a fault holds them.
    pub fn held(&self, id: FaultId) -> u64 {
        lock(&self.book).faults.get(&id).map_or(0, |entry| entry.held)
    }

    /// Takes what meets this request, oldest first.
    pub(super) fn take(&self, subject: Subject<'_>) -> Vec<(FaultId, FaultEffect)> {
        let mut book = lock(&self.book);
        let mut taken = Vec::new();
        for (id, entry) in &mut book.faults {
            if entry.meets(subject) {
                taken.push((*id, entry.fault.effect.clone()));
            }
        }
        taken
    }

    /// Returns when the fault is no longer there.
    pub(super) async fn released(&self, id: FaultId) -> Released {
        let mut changed = self.changed.subscribe();
        if let Some(entry) = lock(&self.book).faults.get_mut(&id) {
            entry.held += 1;
        }
        while lock(&self.book).faults.contains_key(&id) {
            if changed.changed().await.is_err() {
                break;
            }
        }
        if lock(&self.book).cut.contains(&id) { Released::Cut } else { Released::GoesOn }
    }
}

impl Entry {
    fn meets(&mut self, subject: Subject<'_>) -> bool {
        let fault = &mut self.fault;
        let same = |wanted: &Option<String>, is: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| is == Some(wanted))
        };
        let fits = fault.times != Some(0)
            && same(&fault.method, Some(subject.method))
            && fault.kind.is_none_or(|wanted| wanted == subject.kind)
            && same(&fault.repository, subject.repository)
            && same(&fault.reference, subject.reference);
        if !fits {
            return false;
        }
        if fault.skip > 0 {
            fault.skip -= 1;
            return false;
        }
        if let (Some(chance), Some(random)) = (fault.chance, &mut self.random)
            && random.random_range(0..100) >= chance.percent
        {
            return false;
        }
        if let Some(times) = &mut fault.times {
            *times -= 1;
        }
        self.met += 1;
        true
    }
}
