//! Blobs: asked for and read.

use std::time::Duration;

use backon::BackoffBuilder;
use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderValue, Method,
    header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE},
};
use reqwest::Response;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::{
    Action, Client, Digest, Error, Name,
    error::{Cause, Sent},
    exchange::Request,
    manifests::{found, text},
};

/// What a registry says of a blob without giving it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobHead {
    /// How many bytes it has, where the registry says so.
    pub size: Option<u64>,
}

/// A blob that is being read.
pub struct BlobBody {
    client: Client,
    response: Response,
    start: u64,
    total: Option<u64>,
    /// What was received and has not been given yet.
    kept: Option<Bytes>,
}

/// Reads a blob from a place to its end, through as many answers as it takes.
pub struct BlobReader {
    client: Client,
    name: Name,
    digest: Digest,
    size: u64,
    /// The next byte that is read.
    at: u64,
    /// What is being read, and how many of its bytes were read already and are passed over.
    body: Option<(BlobBody, u64)>,
}

impl Client {
    /// Whether a repository has a blob. None: it has not.
    ///
    /// # Errors
    /// Any [`Cause`] but [`Cause::NotFound`].
    pub async fn head_blob(
        &self,
        name: &Name,
        digest: &Digest,
        deadline: Instant,
    ) -> Result<Option<BlobHead>, Error> {
        let url = self.within(name, ["blobs", &digest.to_string()]);
        let request = Request::new(Action::HeadBlob, "head blob", Method::HEAD, url, self.scopes(name));
        let answer = found(self.whole(&request, &[], 0, deadline).await)?;
        let size = |headers: &HeaderMap| text(headers, &CONTENT_LENGTH).and_then(|text| text.parse().ok());
        Ok(answer.map(|answer| BlobHead { size: size(&answer.headers) }))
    }

    /// Opens a blob at the byte `from`. A registry that knows no ranges gives it from its beginning, and
    /// [`BlobBody::start`] says so. Nothing compares the bytes with the digest: who reads them does.
    ///
    /// # Errors
    /// [`Cause::NotFound`]; [`Cause::SizeMismatch`] where the blob ends before `from`; [`Cause::Protocol`] for another
    /// range than the one that was asked for.
    pub async fn get_blob(
        &self,
        name: &Name,
        digest: &Digest,
        from: u64,
        deadline: Instant,
    ) -> Result<BlobBody, Error> {
        let operation = "get blob";
        let url = self.within(name, ["blobs", &digest.to_string()]);
        let mut request = Request::new(Action::GetBlob, operation, Method::GET, url, self.scopes(name));
        if from > 0 {
            let range = HeaderValue::try_from(format!("bytes={from}-"))
                .map_err(|_| Error::new(Cause::Protocol, operation, "no range"))?;
            request = request.header(RANGE, range);
        }
        // A 416 is not read, and its connection not used again: its length may be that of the blob.
        let answer = self.open(&request, &[416], deadline).await?;
        let failed = |cause: Cause, said: String| {
            let mut error = Error::new(cause, operation, said);
            error.status = Some(answer.status);
            error
        };
        let (start, total) = match answer.status {
            200 => (0, text(&answer.headers, &CONTENT_LENGTH).and_then(|text| text.parse().ok())),
            206 if from > 0 => {
                let said = text(&answer.headers, &CONTENT_RANGE).unwrap_or_default();
                match range_of(said) {
                    Some((start, end, total))
                        if start == from && total.is_none_or(|total| end + 1 == total) =>
                    {
                        (start, total.or(Some(end + 1)))
                    }
                    _ => {
                        let said = format!("the range {said:?} was sent in the place of {from}-");
                        return Err(failed(Cause::Protocol, said));
                    }
                }
            }
            416 => return Err(failed(Cause::SizeMismatch, format!("the blob ends before the byte {from}"))),
            status => return Err(failed(Cause::Protocol, format!("{status} makes no sense here"))),
        };
        Ok(BlobBody { client: self.clone(), response: answer.response, start, total, kept: None })
    }

    /// Reads a blob of `size` bytes from the byte `from` on. What was cut is read on from where it ended.
    #[must_use]
    pub fn read_blob(&self, name: &Name, digest: &Digest, size: u64, from: u64) -> BlobReader {
        BlobReader {
            client: self.clone(),
            name: name.clone(),
            digest: digest.clone(),
            size,
            at: from,
            body: None,
        }
    }
}

impl BlobBody {
    /// The first byte that is given: the one that was asked for, or 0 where the registry knows no ranges.
    #[must_use]
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// How many bytes the whole blob has, where the registry says so.
    #[must_use]
    pub const fn total(&self) -> Option<u64> {
        self.total
    }

    /// The next bytes. None: that was all.
    ///
    /// # Errors
    /// [`Cause::Unavailable`] where the answer is cut, or silent for too long.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if let Some(kept) = self.kept.take() {
            return Ok(Some(kept));
        }
        let broken = |said: &str| Error::new(Cause::Unavailable, "get blob", said).with_sent(Sent::Maybe);
        let next = timeout(self.client.silence(), self.response.chunk()).await;
        let next = next.map_err(|_elapsed| broken("the blob stopped"))?;
        let chunk = next.map_err(|_| broken("the blob was cut off"))?;
        if let Some(chunk) = &chunk {
            self.client.counters().received(chunk.len());
            self.client.pace().bytes(chunk.len()).await;
        }
        Ok(chunk)
    }
}

impl BlobReader {
    /// The next byte that is read.
    #[must_use]
    pub const fn at(&self) -> u64 {
        self.at
    }

    /// The next part: `most` bytes, or what is left. None: that was all. Holds no more than this part.
    ///
    /// # Errors
    /// [`Cause::SizeMismatch`] where the blob has fewer or more bytes than it should; otherwise as [`Client::get_blob`],
    /// once no try got any further.
    pub async fn part(&mut self, most: usize, deadline: Instant) -> Result<Option<Bytes>, Error> {
        self.part_in(BytesMut::new(), most, deadline).await
    }

    /// The same in `memory`, whatever is in it.
    ///
    /// # Errors
    /// As [`BlobReader::part`].
    pub async fn part_in(
        &mut self,
        memory: BytesMut,
        most: usize,
        deadline: Instant,
    ) -> Result<Option<Bytes>, Error> {
        let left = usize::try_from(self.size.saturating_sub(self.at)).unwrap_or(usize::MAX);
        if left == 0 {
            return self.end(deadline).await.map(|()| None);
        }
        let wanted = most.max(1).min(left);
        let mut part = memory;
        part.clear();
        part.reserve(wanted);
        let mut pauses = self.client.pauses().build();
        while part.len() < wanted {
            let before = part.len();
            match self.fill(&mut part, wanted, deadline).await {
                Ok(()) => {}
                Err(error) if error.cause == Cause::Unavailable => {
                    self.body = None;
                    if part.len() > before {
                        pauses = self.client.pauses().build();
                    }
                    let Some(pause) = pauses.next().filter(|pause| Instant::now() + *pause < deadline) else {
                        return Err(error);
                    };
                    sleep(pause).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Some(part.freeze()))
    }

    /// Reads into `part` until it has `wanted` bytes.
    async fn fill(&mut self, part: &mut BytesMut, wanted: usize, deadline: Instant) -> Result<(), Error> {
        while part.len() < wanted {
            if self.body.is_none() {
                self.body = Some(self.open(deadline).await?);
            }
            let Some((body, passed_over)) = &mut self.body else { continue };
            let chunk = timeout_at(deadline, body.next())
                .await
                .map_err(|_elapsed| Error::new(Cause::Deadline, "get blob", "the time was over"))??;
            let Some(mut chunk) = chunk else {
                // The answer ended as it said, and it said too little.
                let said = format!("the blob has {} bytes and not {}", self.at, self.size);
                return Err(Error::new(Cause::SizeMismatch, "get blob", said));
            };
            let skipped = chunk.len().min(usize::try_from(*passed_over).unwrap_or(usize::MAX));
            *passed_over -= skipped as u64;
            drop(chunk.split_to(skipped));
            let taken = chunk.len().min(wanted - part.len());
            part.extend_from_slice(&chunk[..taken]);
            self.at += taken as u64;
            drop(chunk.split_to(taken));
            if !chunk.is_empty() {
                body.kept = Some(chunk);
            }
        }
        Ok(())
    }

    async fn open(&self, deadline: Instant) -> Result<(BlobBody, u64), Error> {
        let body = self.client.get_blob(&self.name, &self.digest, self.at, deadline).await?;
        if let Some(total) = body.total()
            && total != self.size
        {
            let said = format!("the blob has {total} bytes and not {}", self.size);
            return Err(Error::new(Cause::SizeMismatch, "get blob", said));
        }
        let passed_over = self.at - body.start();
        Ok((body, passed_over))
    }

    /// All bytes were read: there may be no more.
    async fn end(&mut self, deadline: Instant) -> Result<(), Error> {
        let Some((mut body, _)) = self.body.take() else { return Ok(()) };
        if body.total().is_some() {
            return Ok(());
        }
        match timeout_at(deadline.min(Instant::now() + Duration::from_secs(5)), body.next()).await {
            Ok(Ok(Some(_))) => {
                let said = format!("the blob has more bytes than {}", self.size);
                Err(Error::new(Cause::SizeMismatch, "get blob", said))
            }
            _ => Ok(()),
        }
    }
}

/// Reads `bytes <start>-<end>/<total or *>`.
fn range_of(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.trim().split_once('/')?;
    let (start, end) = range.split_once('-')?;
    let (start, end) = (start.parse().ok()?, end.parse().ok()?);
    let total = match total {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    (start <= end && end < u64::MAX && total.is_none_or(|total| end < total)).then_some((start, end, total))
}
