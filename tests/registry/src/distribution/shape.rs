//! Bodies that are counted, held, cut and changed on their way.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};

use super::faults::{FaultId, Faults, Released};

/// A body, piece by piece.
pub(super) type Pieces = BoxStream<'static, Result<Bytes, Broken>>;

/// The body ended before its end.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the body is cut off")]
pub(super) struct Broken;

/// What happens when so many bytes have passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The connection is cut.
    Cut,
    /// The body ends.
    End,
    /// It goes on when the fault is removed, or is cut off with it.
    Hold(FaultId),
}

/// What is done to a body.
pub(super) struct Shape {
    pub faults: Arc<Faults>,
    pub stops: Vec<(u64, Stop)>,
    /// The byte that is another.
    pub flip: Option<u64>,
}

struct Moving<F> {
    pieces: Pin<Box<dyn Stream<Item = Result<Bytes, Broken>> + Send>>,
    passed: u64,
    stops: VecDeque<(u64, Stop)>,
    flip: Option<u64>,
    rest: Option<Bytes>,
    tell: F,
    faults: Arc<Faults>,
}

impl Shape {
    pub(super) fn new(faults: &Arc<Faults>) -> Self {
        Self { faults: Arc::clone(faults), stops: Vec::new(), flip: None }
    }

    /// The body as it is to pass; `tell` is told of every piece before it does.
    pub(super) fn apply(mut self, body: Body, tell: impl Fn(usize) + Send + 'static) -> Pieces {
        self.stops.sort_by_key(|(at, _)| *at);
        let moving = Moving {
            pieces: Box::pin(body.into_data_stream().map(|piece| piece.map_err(|_| Broken))),
            passed: 0,
            stops: self.stops.into(),
            flip: self.flip,
            rest: None,
            tell,
            faults: self.faults,
        };
        stream::unfold(moving, Moving::next).boxed()
    }
}

impl<F: Fn(usize) + Send> Moving<F> {
    async fn next(mut self) -> Option<(Result<Bytes, Broken>, Self)> {
        while let Some((at, stop)) = self.stops.front().copied()
            && at <= self.passed
        {
            self.stops.pop_front();
            match stop {
                Stop::End => return None,
                Stop::Hold(id) => {
                    if self.faults.released(id).await == Released::Cut {
                        return Some((Err(Broken), self));
                    }
                }
                Stop::Cut => {
                    // Whoever is written to must have seen what passed before: what waits in buffers leaves when
                    // this is not ready at once.
                    tokio::task::yield_now().await;
                    return Some((Err(Broken), self));
                }
            }
        }
        let mut piece = match self.rest.take() {
            Some(rest) => rest,
            None => match self.pieces.next().await? {
                Ok(piece) => piece,
                Err(broken) => return Some((Err(broken), self)),
            },
        };
        if let Some((at, _)) = self.stops.front() {
            let room = usize::try_from(at - self.passed).unwrap_or(usize::MAX);
            if piece.len() > room {
                self.rest = Some(piece.split_off(room));
            }
        }
        if let Some(at) = self.flip
            && (self.passed..self.passed + piece.len() as u64).contains(&at)
        {
            let mut changed = piece.to_vec();
            changed[usize::try_from(at - self.passed).unwrap_or_default()] ^= 1;
            piece = changed.into();
        }
        self.passed += piece.len() as u64;
        (self.tell)(piece.len());
        Some((Ok(piece), self))
    }
}
