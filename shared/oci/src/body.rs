//! A request's body that is sent at the pace that the limits allow, with its length said beforehand.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::{limits::Counters, pace::Pace};

/// How much is given to the connection at once.
const CHUNK: usize = 64 << 10;

/// How far a body has gone.
#[derive(Debug)]
pub struct Progress {
    began: Instant,
    /// When bytes last went, in milliseconds since the beginning.
    last: AtomicU64,
    /// Whether all of it has gone.
    is_done: AtomicBool,
}

impl Progress {
    /// Of a body of `length` bytes, from now on.
    pub fn of(length: usize) -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            last: AtomicU64::new(0),
            is_done: AtomicBool::new(length == 0),
        })
    }

    fn moved(&self, is_done: bool) {
        let age = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(age, Ordering::Relaxed);
        if is_done {
            self.is_done.store(true, Ordering::Relaxed);
        }
    }

    /// When bytes last went.
    pub fn last(&self) -> Instant {
        self.began + std::time::Duration::from_millis(self.last.load(Ordering::Relaxed))
    }

    /// Whether all of it has gone.
    pub fn is_done(&self) -> bool {
        self.is_done.load(Ordering::Relaxed)
    }
}

/// The body.
pub struct PacedBody {
    left: Bytes,
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
    progress: Arc<Progress>,
    pace: Arc<Pace>,
    counters: Arc<Counters>,
}

impl PacedBody {
    pub fn new(bytes: Bytes, progress: Arc<Progress>, pace: Arc<Pace>, counters: Arc<Counters>) -> Self {
        Self { left: bytes, waiting: None, progress, pace, counters }
    }
}

impl Body for PacedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if this.left.is_empty() {
            return Poll::Ready(None);
        }
        let size = this.left.len().min(CHUNK);
        let pace = &this.pace;
        let waiting = this.waiting.get_or_insert_with(|| {
            let pace = Arc::clone(pace);
            Box::pin(async move { pace.bytes(size).await })
        });
        if waiting.as_mut().poll(context).is_pending() {
            // It is we who wait, and not the registry.
            this.progress.moved(false);
            return Poll::Pending;
        }
        this.waiting = None;
        let chunk = this.left.split_to(size);
        this.counters.sent(size);
        this.progress.moved(this.left.is_empty());
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}
