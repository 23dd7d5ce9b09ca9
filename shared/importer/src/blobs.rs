//! Copies blobs: each distinct one once, and mounted wherever else it belongs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError, atomic::Ordering},
    time::{Duration, Instant as Clock},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};
use oci::{Cause as Of, Digest, Hasher, Mount, Name, Standing, Upload};
use shared::store::importer::{BlobClaim, KeptUpload};
use tokio::time::Instant;

use crate::{
    cause::{Cause, Failure, Side},
    importer::{count, database},
    job::{End, Job},
};

/// How often an upload is begun anew before its blob is given up.
const ANEW: u32 = 5;

/// How many blobs are noted together, and how long one waits for it.
const NOTED_TOGETHER: usize = 100;
const NOTED_WITHIN: Duration = Duration::from_secs(1);
/// The same while another worker waits for one of them.
const AWAITED_WITHIN: Duration = Duration::from_millis(50);

/// How long whoever waits for another's blob waits before it looks.
const LOOK: Duration = Duration::from_millis(300);

/// What may be asked at the target before a blob is copied to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Nothing: its repository was empty.
    Nothing,
    /// Whether it is there.
    First,
    /// Nothing, and nothing is mounted or believed: the target has said what is not so.
    Distrust,
}

/// What was copied and is not noted yet.
struct Notes {
    there: Vec<String>,
    dropped: Vec<String>,
    since: Clock,
}

pub(crate) struct Blobs<'a> {
    job: &'a Job,
    ask: Ask,
    uploads: Mutex<BTreeMap<String, KeptUpload>>,
    notes: Mutex<Notes>,
    failed: Mutex<BTreeMap<Digest, Failure>>,
}

/// Copies these blobs. Those that failed, each with why.
pub(crate) async fn copy(
    job: &Job,
    wanted: BTreeMap<Digest, u64>,
    ask: Ask,
) -> Result<BTreeMap<Digest, Failure>, End> {
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let kept = if job.import.wrote {
        job.importer.copies.uploads(job.target.as_str(), database()).await?
    } else {
        Vec::new()
    };
    let blobs = Blobs {
        job,
        ask,
        uploads: Mutex::new(kept.into_iter().map(|upload| (upload.digest.clone(), upload)).collect()),
        notes: Mutex::new(Notes { there: Vec::new(), dropped: Vec::new(), since: Clock::now() }),
        failed: Mutex::default(),
    };
    let copied = blobs.copy_all(wanted).await;
    // Also where it ends early: what is noted need not be asked for.
    let noted = blobs.note(Duration::ZERO).await;
    copied?;
    noted?;
    Ok(blobs.failed.into_inner().unwrap_or_else(PoisonError::into_inner))
}

impl Blobs<'_> {
    async fn copy_all(&self, mut wanted: BTreeMap<Digest, u64>) -> Result<(), End> {
        if self.ask == Ask::Distrust {
            let all = wanted.into_iter().map(|(digest, size)| (digest, size, BlobClaim::Mine)).collect();
            return self.copy_claimed(all).await;
        }
        loop {
            let digests: Vec<String> = wanted.keys().map(ToString::to_string).collect();
            let mut claims = {
                let _turn = self.job.importer.claiming.lock().await;
                self.job.importer.copies.claim_blobs(self.job.claimant(), &digests, database()).await?
            };
            let mut work = Vec::new();
            wanted.retain(|digest, size| match claims.remove(&digest.to_string()) {
                Some(BlobClaim::Elsewhere) => true,
                Some(claim) => {
                    work.push((digest.clone(), *size, claim));
                    false
                }
                None => {
                    work.push((digest.clone(), *size, BlobClaim::Mine));
                    false
                }
            });
            self.copy_claimed(work).await?;
            if wanted.is_empty() {
                return Ok(());
            }
            // What others are just copying is mounted afterwards.
            self.note(Duration::ZERO).await?;
            self.wait().await?;
        }
    }

    /// Waits until another worker of this process has copied something, or for a moment.
    async fn wait(&self) -> Result<(), End> {
        self.job.check()?;
        let importer = &self.job.importer;
        importer.waiting.fetch_add(1, Ordering::Relaxed);
        let _ = tokio::time::timeout(LOOK, importer.copied.notified()).await;
        importer.waiting.fetch_sub(1, Ordering::Relaxed);
        self.job.check()
    }

    /// Large ones in their own lanes, so that they hold up no small one.
    async fn copy_claimed(&self, work: Vec<(Digest, u64, BlobClaim)>) -> Result<(), End> {
        let tuning = &self.job.importer.tuning;
        let (mut large, small): (Vec<_>, Vec<_>) =
            work.into_iter().partition(|(_, size, _)| *size > tuning.part);
        large.sort_by_key(|(_, size, _)| std::cmp::Reverse(*size));
        let one = |(digest, size, claim)| async move { self.one(digest, size, claim).await };
        let small = stream::iter(small).map(one).buffer_unordered(tuning.in_flight).try_collect::<Vec<()>>();
        let large = stream::iter(large).map(one).buffer_unordered(2).try_collect::<Vec<()>>();
        tokio::try_join!(small, large)?;
        Ok(())
    }

    async fn one(&self, digest: Digest, size: u64, claim: BlobClaim) -> Result<(), End> {
        self.job.check()?;
        let done = match claim {
            BlobClaim::Here => {
                self.drop_upload(&digest).await;
                Ok(())
            }
            BlobClaim::Mount { from } => self.mount(&digest, size, &from).await,
            BlobClaim::Mine | BlobClaim::Elsewhere => self.ask_and_copy(&digest, size).await,
        };
        match done {
            Ok(()) => {
                self.job.done(|progress| progress.blobs_done += 1);
                self.notes().there.push(digest.to_string());
            }
            Err(End::Failed(failure)) if !failure.whole => {
                self.notes().dropped.push(digest.to_string());
                self.failed.lock().unwrap_or_else(PoisonError::into_inner).insert(digest, failure);
            }
            Err(end) => {
                self.notes().dropped.push(digest.to_string());
                return Err(end);
            }
        }
        let awaited = self.job.importer.waiting.load(Ordering::Relaxed) > 0;
        self.note(if awaited { AWAITED_WITHIN } else { NOTED_WITHIN }).await
    }

    fn notes(&self) -> std::sync::MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores what was copied, where it is much or the last time is as long ago.
    async fn note(&self, within: Duration) -> Result<(), End> {
        let (there, dropped) = {
            let mut notes = self.notes();
            let many = notes.there.len() + notes.dropped.len();
            if many == 0 || (many < NOTED_TOGETHER && notes.since.elapsed() < within) {
                return Ok(());
            }
            notes.since = Clock::now();
            (std::mem::take(&mut notes.there), std::mem::take(&mut notes.dropped))
        };
        let importer = &self.job.importer;
        {
            let _turn = importer.claiming.lock().await;
            importer.copies.note_blobs(self.job.claimant(), &there, &dropped, database()).await?;
        }
        importer.copied.notify_waiters();
        Ok(())
    }

    async fn mount(&self, digest: &Digest, size: u64, from: &str) -> Result<(), End> {
        let job = self.job;
        let from = Name::parse(from).ok();
        let mounted = job.importer.target.mount(&job.target, digest, from.as_ref(), job.importer.patience());
        match mounted.await.map_err(|error| Failure::of(Side::Target, &error))? {
            Mount::Mounted => {
                self.drop_upload(digest).await;
                count(&job.importer.counted.blobs_mounted, 1);
                job.done(|progress| progress.bytes_done += size);
                Ok(())
            }
            Mount::Session(session) => self.copy(digest, size, Some(session)).await,
        }
    }

    async fn ask_and_copy(&self, digest: &Digest, size: u64) -> Result<(), End> {
        if self.ask == Ask::First && !self.has_upload(digest) && self.is_there(digest).await? {
            self.job.done(|progress| progress.bytes_done += size);
            return Ok(());
        }
        self.copy(digest, size, None).await
    }

    /// Ends an upload that an earlier worker has left, where another has copied the blob meanwhile.
    async fn drop_upload(&self, digest: &Digest) {
        if self.has_upload(digest) {
            drop_upload(self.job, digest).await;
        }
    }

    /// Whether an earlier worker has left an upload of it.
    fn has_upload(&self, digest: &Digest) -> bool {
        let uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.contains_key(&digest.to_string())
    }

    async fn is_there(&self, digest: &Digest) -> Result<bool, End> {
        let job = self.job;
        let head = job.importer.target.head_blob(&job.target, digest, job.importer.patience()).await;
        Ok(head.map_err(|error| Failure::of(Side::Target, &error))?.is_some())
    }

    async fn copy(&self, digest: &Digest, size: u64, session: Option<Upload>) -> Result<(), End> {
        if size > self.job.importer.tuning.part {
            self.copy_in_parts(digest, size, session).await?;
        } else {
            self.copy_whole(digest, size, session).await?;
        }
        count(&self.job.importer.counted.blobs_copied, 1);
        Ok(())
    }

    async fn copy_whole(&self, digest: &Digest, size: u64, session: Option<Upload>) -> Result<(), End> {
        let job = self.job;
        let importer = &job.importer;
        let room = u32::try_from(size.div_ceil(1024).max(1)).unwrap_or(u32::MAX);
        let _room = importer.small.acquire_many(room).await.map_err(|_closed| End::Stopped)?;
        let mut reader = importer.source.read_blob(&job.source, digest, size, 0);
        let bytes = next_part(job, &mut reader, size, BytesMut::new()).await?;
        count(&importer.counted.bytes_read, bytes.len() as u64);
        let mut hasher = Hasher::new(digest.algorithm());
        hasher.update(&bytes);
        ends_as(hasher, digest, size)?;
        let put = importer.target.put_blob(&job.target, digest, &bytes, session, importer.patience()).await;
        let put = put.map_err(|error| Failure::of(Side::Target, &error))?;
        count(&importer.counted.begun_anew, put.lost.into());
        count(&importer.counted.bytes_sent, size);
        job.done(|progress| progress.bytes_done += size);
        Ok(())
    }

    async fn copy_in_parts(&self, digest: &Digest, size: u64, session: Option<Upload>) -> Result<(), End> {
        let job = self.job;
        let importer = &job.importer;
        let _lane = importer.lanes.acquire().await.map_err(|_closed| End::Stopped)?;
        let kept = {
            let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
            uploads.remove(&digest.to_string())
        };
        let mut session = session;
        let mut begun = self.go_on(digest, size, kept).await?;
        if !matches!(begun, Begun::Not)
            && let Some(unused) = session.take()
        {
            let _ = importer.target.cancel_upload(unused, importer.patience()).await;
        }
        if let Begun::There = begun {
            job.done(|progress| progress.bytes_done += size);
            return Ok(());
        }
        for _ in 0..ANEW {
            let at = match std::mem::replace(&mut begun, Begun::Not) {
                Begun::At(at) => *at,
                Begun::There | Begun::Not => {
                    let upload = match session.take() {
                        Some(session) => session,
                        None => importer
                            .target
                            .begin_upload(&job.target, importer.patience())
                            .await
                            .map_err(|error| Failure::of(Side::Target, &error))?,
                    };
                    let hasher = Hasher::new(digest.algorithm());
                    // Whoever goes on after a kill in its first part finds it, and leaves none open.
                    self.keep(digest, &upload, &hasher).await?;
                    At { upload, hasher }
                }
            };
            let counted = std::sync::atomic::AtomicU64::new(0);
            match self.send_parts(digest, size, at, &counted).await {
                Ok(()) => return Ok(()),
                Err(Sending::Lost) => {
                    count(&importer.counted.begun_anew, 1);
                    let lost = counted.load(Ordering::Relaxed);
                    job.known(|progress| progress.bytes_done = progress.bytes_done.saturating_sub(lost));
                    tracing::info!(target = %job.target, %digest, "an upload is lost and begun anew");
                    self.end_upload(digest).await?;
                    if self.is_there(digest).await? {
                        job.done(|progress| progress.bytes_done += size);
                        return Ok(());
                    }
                }
                Err(Sending::End(end)) => {
                    if matches!(&end, End::Failed(failure) if !failure.whole) {
                        // Nobody goes on with it.
                        drop_upload(job, digest).await;
                    }
                    return Err(end);
                }
            }
        }
        Err(Failure::of_part(
            Cause::TargetBroken,
            format!("target: the upload of {digest} is lost each time"),
        )
        .into())
    }

    /// Keeps where an upload stands.
    async fn keep(&self, digest: &Digest, upload: &Upload, hasher: &Hasher) -> Result<(), End> {
        let job = self.job;
        let kept = KeptUpload {
            digest: digest.to_string(),
            location: upload.location().to_owned(),
            sent: hasher.length(),
            hash: BASE64_STANDARD.encode(hasher.save()),
        };
        let copies = &job.importer.copies;
        Ok(copies.keep_upload(&job.holder, job.target.as_str(), &kept, database()).await?)
    }

    async fn end_upload(&self, digest: &Digest) -> Result<(), End> {
        let copies = &self.job.importer.copies;
        Ok(copies.end_upload(self.job.target.as_str(), &digest.to_string(), database()).await?)
    }

    /// What an earlier worker left of an upload.
    async fn go_on(&self, digest: &Digest, size: u64, kept: Option<KeptUpload>) -> Result<Begun, End> {
        let Some(kept) = kept else { return Ok(Begun::Not) };
        let job = self.job;
        let importer = &job.importer;
        let target = &importer.target;
        let failed = |error: oci::Error| End::from(Failure::of(Side::Target, &error));
        let standing = match Upload::resume(target, job.target.clone(), &kept.location, kept.sent) {
            Ok(mut upload) => {
                match target.upload_status(&mut upload, importer.patience()).await {
                    Ok(standing) => Some((upload, standing)),
                    // Its end was reached, and the process died before it was noted.
                    Err(error) if error.cause == Of::UploadLost => None,
                    Err(error) => return Err(failed(error)),
                }
            }
            Err(_) => None,
        };
        if let Some((upload, Standing::At(offset))) = standing {
            let state = BASE64_STANDARD.decode(&kept.hash).ok();
            let hasher = state.and_then(|state| Hasher::resume(&state).ok());
            let hasher = match hasher {
                Some(hasher) if hasher.length() <= offset && offset <= size => hasher,
                // It is hashed again from the beginning, and only what is missing is sent.
                _ if offset <= size => Hasher::new(digest.algorithm()),
                _ => return self.begin_anew(digest).await,
            };
            count(&importer.counted.gone_on, 1);
            job.done(|progress| progress.bytes_done += offset);
            return Ok(Begun::At(Box::new(At { upload, hasher })));
        }
        // Its end may have been answered to a process that is dead.
        if self.is_there(digest).await? {
            self.end_upload(digest).await?;
            return Ok(Begun::There);
        }
        self.begin_anew(digest).await
    }

    async fn begin_anew(&self, digest: &Digest) -> Result<Begun, End> {
        count(&self.job.importer.counted.begun_anew, 1);
        self.end_upload(digest).await?;
        Ok(Begun::Not)
    }

    /// Reads from where the digest stands, and sends from where the target stands. While one part is sent the next is read
    /// and hashed.
    async fn send_parts(
        &self,
        digest: &Digest,
        size: u64,
        at: At,
        counted: &std::sync::atomic::AtomicU64,
    ) -> Result<(), Sending> {
        let job = self.job;
        let importer = &job.importer;
        let At { mut upload, mut hasher } = at;
        let of_source = |end: End| Sending::End(end);
        let mut reader = importer.source.read_blob(&job.source, digest, size, hasher.length());
        // What the target has already is hashed, and not sent again.
        while hasher.length() < upload.offset() {
            let wanted = importer.tuning.part.min(upload.offset() - hasher.length());
            let part = next_part(job, &mut reader, wanted, importer.buffers.take()).await;
            let part = part.map_err(of_source)?;
            count(&importer.counted.bytes_read, part.len() as u64);
            hasher.update(&part);
            importer.buffers.keep(part);
            job.done(|_| ());
        }
        // A part is read and hashed, and what the hash was before it stays as it is.
        let read = async |reader: &mut oci::BlobReader, hasher: &Hasher| {
            let wanted = importer.tuning.part.min(size - hasher.length());
            let part = next_part(job, reader, wanted, importer.buffers.take()).await?;
            count(&importer.counted.bytes_read, part.len() as u64);
            let mut hasher = hasher.clone();
            hasher.update(&part);
            Ok::<_, End>((part, hasher))
        };
        let (mut part, mut hasher) = read(&mut reader, &hasher).await.map_err(of_source)?;
        while hasher.length() < size {
            let length = part.len() as u64;
            let whole = part.clone();
            let (sent, next) = tokio::join!(
                async {
                    let sent = importer.target.upload_part(&mut upload, part, importer.patience()).await;
                    importer.buffers.keep(whole);
                    sent.map_err(|error| Sending::of(&error))?;
                    count(&importer.counted.bytes_sent, length);
                    counted.fetch_add(length, Ordering::Relaxed);
                    job.done(|progress| progress.bytes_done += length);
                    self.keep(digest, &upload, &hasher).await.map_err(Sending::End)
                },
                async {
                    // A worker that ends does not read what it will not send.
                    job.check()?;
                    read(&mut reader, &hasher).await
                }
            );
            sent?;
            (part, hasher) = next.map_err(of_source)?;
        }
        ends_as(hasher, digest, size).map_err(Sending::End)?;
        let length = part.len() as u64;
        let sent = part.clone();
        let finished = importer.target.finish_upload(upload, digest, part, importer.patience()).await;
        importer.buffers.keep(sent);
        finished.map_err(|error| Sending::of(&error))?;
        count(&importer.counted.bytes_sent, length);
        job.done(|progress| progress.bytes_done += length);
        self.end_upload(digest).await.map_err(Sending::End)
    }
}

/// An upload, and the hash of what has been read.
struct At {
    upload: Upload,
    hasher: Hasher,
}

enum Begun {
    Not,
    At(Box<At>),
    There,
}

/// Why parts are not sent on.
enum Sending {
    /// The target has lost the upload.
    Lost,
    End(End),
}

impl Sending {
    fn of(error: &oci::Error) -> Self {
        match error.cause {
            Of::UploadLost => Self::Lost,
            _ => Self::End(Failure::of(Side::Target, error).into()),
        }
    }
}

/// As many bytes as were asked for, in this memory: whatever is missing at the source is an error.
async fn next_part(
    job: &Job,
    reader: &mut oci::BlobReader,
    wanted: u64,
    memory: BytesMut,
) -> Result<Bytes, End> {
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    if wanted == 0 {
        return Ok(Bytes::new());
    }
    let part = reader.part_in(memory, wanted, job.importer.patience()).await;
    let part = part.map_err(|error| match error.cause {
        // Other bytes than were asked for, perhaps: this blob is not to be had.
        Of::Protocol => Failure::of_part(Cause::SourceBroken, format!("source: {error}")),
        _ => Failure::of(Side::Source, &error),
    })?;
    match part {
        Some(part) if part.len() == wanted => Ok(part),
        _ => {
            let said = "source: a blob is shorter than its descriptor says";
            Err(Failure::of_part(Cause::SourceBroken, said).into())
        }
    }
}

fn ends_as(hasher: Hasher, digest: &Digest, size: u64) -> Result<(), End> {
    let length = hasher.length();
    let found = hasher.finish();
    if length == size && found == *digest {
        return Ok(());
    }
    let said = format!("source: the blob {digest} has other bytes: {found}, {length} of {size} bytes");
    Err(Failure::of_part(Cause::SourceBroken, said).into())
}

/// Ends the uploads that are under way, since nobody goes on with them.
pub(crate) async fn cancel_uploads(job: &Job) {
    cancel(job, |_| true).await;
}

/// Ends the upload of a blob that nobody goes on with.
async fn drop_upload(job: &Job, digest: &Digest) {
    let digest = digest.to_string();
    cancel(job, |kept| kept.digest == digest).await;
}

async fn cancel(job: &Job, which: impl Fn(&KeptUpload) -> bool) {
    let importer = &job.importer;
    let Ok(mut kept) = importer.copies.uploads(job.target.as_str(), database()).await else { return };
    kept.retain(which);
    let seen: BTreeSet<String> = kept.iter().map(|upload| upload.digest.clone()).collect();
    for kept in kept {
        if let Ok(upload) = Upload::resume(&importer.target, job.target.clone(), &kept.location, kept.sent) {
            let until = Instant::now() + Duration::from_secs(5);
            if let Err(error) = importer.target.cancel_upload(upload, until).await {
                tracing::info!(%error, "an upload is left open");
            }
        }
    }
    for digest in seen {
        let _ = importer.copies.end_upload(job.target.as_str(), &digest, database()).await;
    }
}
