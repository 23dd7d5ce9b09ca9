//! A connection's incoming bytes with no message above a size: what the client library would have to hold whole.
//!
//! PostgreSQL sends a row as one message, however large it is. A row that is too large is replaced by one of as many
//! NULLs, and the fact is noted; an error is cut short; notices and what else nobody here reads are left out.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BufMut as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Tag and length.
const HEADER: usize = 5;
/// What is kept of an error's message.
const ERROR: usize = 32 * 1024;
const CHUNK: usize = 16 * 1024;

/// Whether a row was too large since somebody last asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Oversized(Arc<AtomicBool>);

impl Oversized {
    /// Whether one was; asking forgets it.
    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// A stream from a PostgreSQL server, from its first message on.
pub(crate) struct Bounded<S> {
    stream: S,
    filter: Filter,
}

impl<S> Bounded<S> {
    /// Lets no message pass that is longer than `largest` bytes.
    pub(crate) fn new(stream: S, largest: usize, oversized: Oversized) -> Self {
        let filter = Filter { largest, oversized, out: BytesMut::new(), state: State::Header(Vec::new()) };
        Self { stream, filter }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.filter.out.is_empty() {
            let mut chunk = [0; CHUNK];
            let mut read = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.filter.take(read.filled())?;
        }
        let length = buf.remaining().min(self.filter.out.len());
        buf.put_slice(&self.filter.out[..length]);
        self.filter.out.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The messages as they pass.
struct Filter {
    largest: usize,
    oversized: Oversized,
    out: BytesMut,
    state: State,
}

/// Where in a message the next byte stands.
enum State {
    /// In its tag and length, of which these bytes are there.
    Header(Vec<u8>),
    /// So many bytes of its body are still to pass.
    Pass(usize),
    /// So many are still to be left out.
    Skip(usize),
    /// In the number of a large row's columns, of which these bytes are there; then so many to leave out.
    Columns(Vec<u8>, usize),
    /// In the part of an error that is kept; then so many to leave out.
    Error(Vec<u8>, usize),
}

impl Filter {
    fn take(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.state = match std::mem::replace(&mut self.state, State::Pass(0)) {
                State::Pass(0) | State::Skip(0) => State::Header(Vec::new()),
                State::Pass(left) => {
                    let part = split(&mut bytes, left);
                    self.out.put_slice(part);
                    State::Pass(left - part.len())
                }
                State::Skip(left) => State::Skip(left - split(&mut bytes, left).len()),
                State::Header(mut head) => {
                    head.extend_from_slice(split(&mut bytes, HEADER - head.len()));
                    if head.len() < HEADER { State::Header(head) } else { self.message(&head)? }
                }
                State::Columns(mut count, left) => {
                    count.extend_from_slice(split(&mut bytes, 2 - count.len()));
                    if count.len() < 2 {
                        State::Columns(count, left)
                    } else {
                        self.row_of_nulls(u16::from_be_bytes([count[0], count[1]]));
                        State::Skip(left)
                    }
                }
                State::Error(mut kept, left) => {
                    kept.extend_from_slice(split(&mut bytes, ERROR - kept.len()));
                    if kept.len() < ERROR {
                        State::Error(kept, left)
                    } else {
                        self.error(kept);
                        State::Skip(left)
                    }
                }
            };
        }
        Ok(())
    }

    /// A message begins; its tag and length are there.
    fn message(&mut self, head: &[u8]) -> io::Result<State> {
        let mut length = &head[1..];
        let body = usize::try_from(length.get_i32())
            .ok()
            .and_then(|length| length.checked_sub(4))
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a message of no length"))?;
        if body <= self.largest {
            self.out.put_slice(head);
            return Ok(State::Pass(body));
        }
        Ok(match head[0] {
            b'D' => State::Columns(Vec::new(), body - 2),
            b'E' if body > ERROR => State::Error(Vec::new(), body - ERROR),
            b'N' | b'A' | b'd' => State::Skip(body),
            // The others are as long as the statement has columns and parameters.
            _ => {
                self.out.put_slice(head);
                State::Pass(body)
            }
        })
    }

    fn row_of_nulls(&mut self, columns: u16) {
        self.oversized.0.store(true, Ordering::Relaxed);
        self.header(b'D', 2 + 4 * usize::from(columns));
        self.out.put_u16(columns);
        for _ in 0..columns {
            self.out.put_i32(-1);
        }
    }

    /// The fields of an error end with a zero each, and all of them with another.
    fn error(&mut self, mut kept: Vec<u8>) {
        while std::str::from_utf8(&kept).is_err_and(|error| error.error_len().is_none()) {
            kept.pop();
        }
        if kept.last() != Some(&0) {
            kept.push(0);
        }
        kept.push(0);
        self.header(b'E', kept.len());
        self.out.put_slice(&kept);
    }

    fn header(&mut self, tag: u8, body: usize) {
        self.out.put_u8(tag);
        self.out.put_u32(u32::try_from(body + 4).unwrap_or(u32::MAX));
    }
}

/// At most so many bytes from the front.
fn split<'a>(bytes: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (part, rest) = bytes.split_at(most.min(bytes.len()));
    *bytes = rest;
    part
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    const LARGEST: usize = 100_000;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[tag][..], &length.to_be_bytes(), body].concat()
    }

    async fn filtered(bytes: &[u8], piece: usize) -> (Vec<u8>, bool) {
        let oversized = Oversized::default();
        let mut builder = tokio_test_io(bytes, piece);
        let mut bounded = Bounded::new(&mut builder, LARGEST, oversized.clone());
        let mut out = Vec::new();
        bounded.read_to_end(&mut out).await.unwrap();
        (out, oversized.take())
    }

    /// A reader that gives a few bytes at a time.
    fn tokio_test_io(bytes: &[u8], piece: usize) -> Pieces {
        Pieces { bytes: bytes.to_vec(), at: 0, piece }
    }

    struct Pieces {
        bytes: Vec<u8>,
        at: usize,
        piece: usize,
    }

    impl AsyncRead for Pieces {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let end = (self.at + self.piece.min(buf.remaining())).min(self.bytes.len());
            buf.put_slice(&self.bytes[self.at..end]);
            self.at = end;
            Poll::Ready(Ok(()))
        }
    }

    fn error(text: &[u8]) -> Vec<u8> {
        [b"SERROR\0C42601\0M", text, b"\0Hlater\0\0"].concat()
    }

    #[tokio::test]
    async fn what_is_small_passes_as_it_is() {
        let all = [message(b'R', &[0, 0, 0, 0]), message(b'D', &[0, 1, 0, 0, 0, 1, 7]), message(b'Z', b"I")];
        for piece in [1, 3, 1000] {
            assert_eq!(filtered(&all.concat(), piece).await, (all.concat(), false));
        }
    }

    #[tokio::test]
    async fn a_large_row_becomes_one_of_nulls() {
        let large = message(b'D', &[&[0, 2][..], &vec![1; LARGEST]].concat());
        let small = message(b'Z', b"I");
        let nulls = message(b'D', &[0, 2, 255, 255, 255, 255, 255, 255, 255, 255]);
        for piece in [1, 4096] {
            let told = filtered(&[large.clone(), small.clone()].concat(), piece).await;
            assert_eq!(told, ([nulls.clone(), small.clone()].concat(), true));
        }
    }

    #[tokio::test]
    async fn a_large_error_is_cut_at_a_character() {
        let large = message(b'E', &error("é".repeat(LARGEST).as_bytes()));
        let (out, oversized) = filtered(&[large, message(b'Z', b"I")].concat(), 4096).await;
        assert!(!oversized);
        let text = std::str::from_utf8(&out[HEADER..]).unwrap();
        assert!(text.starts_with("SERROR\0C42601\0Méé") && text.contains("é\0\0Z"), "{}", text.len());
        assert!(out.len() < ERROR + 20);
    }

    #[tokio::test]
    async fn a_large_notice_is_left_out() {
        let all = [message(b'N', &error(&vec![b'n'; LARGEST])), message(b'Z', b"I")].concat();
        assert_eq!(filtered(&all, 4096).await, (message(b'Z', b"I"), false));
    }
}
