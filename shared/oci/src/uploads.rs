//! Uploads: begun, continued part by part, ended, and healed as far as the registry's profile allows.
//!
//! A part is never sent again blindly. After a lost answer or a cut the registry is asked how far it has come. What it
//! answers is believed as far as the profile goes. Whether a blob is there is asked by HEAD of the blob alone: an upload
//! that is gone may have ended well.

use backon::BackoffBuilder;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE},
};
use tokio::time::{Instant, sleep};
use url::Url;

use crate::{
    Action, Client, Digest, Error, Name, Profile,
    auth::Scopes,
    error::{Cause, Sent},
    exchange::{Request, Whole},
    manifests::text,
};

/// How often a registry may say that it does not know an upload: behind a balancer another copy of it may.
const UNKNOWN: u32 = 3;

/// How often a blob is begun anew before it is given up.
const ANEW: u32 = 4;

/// How much of an answer to an upload is read.
const ANSWER_LIMIT: usize = 64 << 10;

/// An upload that is open. What [`Upload::location`] and [`Upload::offset`] say after a part is all that another process
/// needs to continue it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    name: Name,
    location: Url,
    offset: u64,
}

impl Upload {
    /// Continues what another process has stored.
    ///
    /// # Errors
    /// [`Cause::Protocol`] where `location` is not an address of this registry.
    pub fn resume(client: &Client, name: Name, location: &str, offset: u64) -> Result<Self, Error> {
        let location = client.own_address(client.url(), location, "resume upload")?;
        Ok(Self { name, location, offset })
    }

    /// The repository.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Where it goes on. It changes with each part.
    #[must_use]
    pub fn location(&self) -> &str {
        self.location.as_str()
    }

    /// How many bytes the registry has.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }
}

/// How an upload stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The registry has so many bytes of it.
    At(u64),
    /// It is gone, with all its parts.
    Lost,
}

/// What came of a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mount {
    /// The blob is there.
    Mounted,
    /// It is not, and must be sent: by this upload.
    Session(Upload),
}

/// What it took to send a blob.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Put {
    /// How many uploads were lost, so that it was begun anew.
    pub lost: u32,
}

impl Client {
    /// Begins an upload.
    ///
    /// # Errors
    /// [`Cause::NotFound`] or [`Cause::Denied`] where the repository is missing and is not made by a push.
    pub async fn begin_upload(&self, name: &Name, deadline: Instant) -> Result<Upload, Error> {
        let url = self.within(name, ["blobs", "uploads", ""]);
        let request = self.begin("begin upload", url, self.scopes(name));
        let answer = self.whole(&request, &[], ANSWER_LIMIT, deadline).await?;
        self.session(name, &request.url, &answer.headers)
    }

    /// Mounts a blob that another repository of the same registry has. Question and upload in one: where the registry does
    /// not mount, the blob is to be sent by the upload that this gives.
    ///
    /// # Errors
    /// As [`Client::begin_upload`].
    pub async fn mount(
        &self,
        name: &Name,
        digest: &Digest,
        from: Option<&Name>,
        deadline: Instant,
    ) -> Result<Mount, Error> {
        let mut url = self.within(name, ["blobs", "uploads", ""]);
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("mount", &digest.to_string());
            if let Some(from) = from {
                query.append_pair("from", from.as_str());
            }
        }
        let request = self.begin("mount blob", url, self.scopes(name).with_source(from));
        match self.whole(&request, &[], ANSWER_LIMIT, deadline).await {
            Ok(answer) if answer.status == 201 => Ok(Mount::Mounted),
            Ok(answer) => self.session(name, &request.url, &answer.headers).map(Mount::Session),
            // It does not allow this mount. That says nothing about an upload.
            Err(error)
                if error.status.is_some_and(|status| (400..500).contains(&status) && status != 429) =>
            {
                self.begin_upload(name, deadline).await.map(Mount::Session)
            }
            Err(error) => Err(error),
        }
    }

    /// Sends the next part. Afterwards [`Upload::offset`] is behind it. A lost answer and a cut part are healed where the
    /// profile allows it.
    ///
    /// # Errors
    /// [`Cause::UploadLost`] where the registry has dropped the upload: ask for the blob by [`Client::head_blob`], then
    /// begin it anew.
    pub async fn upload_part(
        &self,
        upload: &mut Upload,
        part: Bytes,
        deadline: Instant,
    ) -> Result<(), Error> {
        let (start, end) = (upload.offset, upload.offset + part.len() as u64);
        let mut tries = Tries::of(self, deadline);
        while upload.offset < end {
            let rest = part.slice(usize::try_from(upload.offset - start).unwrap_or(part.len())..);
            match self.patch(upload, rest, deadline).await {
                Ok(()) => {}
                Err(error) => self.heal(upload, (start, end), error, &mut tries).await?,
            }
        }
        Ok(())
    }

    /// Asks how an upload stands, and where it goes on from now.
    ///
    /// # Errors
    /// Where the registry does not answer.
    pub async fn upload_status(&self, upload: &mut Upload, deadline: Instant) -> Result<Standing, Error> {
        let scopes = self.scopes(&upload.name);
        let request =
            Request::new(Action::Upload, "ask for upload", Method::GET, upload.location.clone(), scopes);
        let mut unknown = 0;
        loop {
            match self.whole(&request, &[], ANSWER_LIMIT, deadline).await {
                Ok(answer) => {
                    let at = self.moved(upload, &answer.headers, upload.offset)?;
                    upload.offset = at.unwrap_or(upload.offset);
                    return Ok(Standing::At(upload.offset));
                }
                Err(error) if is_unknown(&error) && unknown < UNKNOWN => {
                    unknown += 1;
                    sleep(self.retries().first).await;
                }
                Err(error) if is_gone(&error) || is_unknown(&error) => return Ok(Standing::Lost),
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends an upload with `last`, which may be empty: the blob is there. After a lost answer the blob is asked for first.
    ///
    /// # Errors
    /// [`Cause::DigestMismatch`] where the bytes are not those that the digest names; [`Cause::UploadLost`].
    pub async fn finish_upload(
        &self,
        mut upload: Upload,
        digest: &Digest,
        last: Bytes,
        deadline: Instant,
    ) -> Result<(), Error> {
        let (start, end) = (upload.offset, upload.offset + last.len() as u64);
        let mut tries = Tries::of(self, deadline);
        loop {
            let rest = last.slice(usize::try_from(upload.offset - start).unwrap_or(last.len())..);
            let error = match self.put(&upload, digest, rest, deadline).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if error.cause == Cause::DigestMismatch || error.cause == Cause::SizeMismatch {
                // The registry keeps the upload open.
                let _ = self.cancel_upload(upload, deadline).await;
                return Err(error);
            }
            if tries.may_be_done(&error) {
                tries.pause(&error).await?;
                tries.paused = true;
                if self.head_blob(&upload.name, digest, deadline).await?.is_some() {
                    return Ok(());
                }
            }
            match self.heal(&mut upload, (start, end), error, &mut tries).await {
                Ok(()) => {}
                // It may have ended between the two questions.
                Err(error) if error.cause == Cause::UploadLost => {
                    let there = self.head_blob(&upload.name, digest, deadline).await?;
                    return if there.is_some() { Ok(()) } else { Err(error) };
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Drops an upload. One that is gone is dropped.
    ///
    /// # Errors
    /// Where the registry does not drop it.
    pub async fn cancel_upload(&self, mut upload: Upload, deadline: Instant) -> Result<(), Error> {
        if self.upload_status(&mut upload, deadline).await? == Standing::Lost {
            return Ok(());
        }
        let scopes = self.scopes(&upload.name);
        let request = Request::new(Action::Upload, "cancel upload", Method::DELETE, upload.location, scopes);
        match self.whole(&request, &[], ANSWER_LIMIT, deadline).await {
            Ok(_) => Ok(()),
            Err(error) if is_gone(&error) || is_unknown(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sends a blob that fits into memory: by `session`, or by an upload of its own. A lost upload is begun anew.
    ///
    /// # Errors
    /// As [`Client::begin_upload`] and [`Client::finish_upload`]; [`Cause::UploadLost`] after several in a row.
    pub async fn put_blob(
        &self,
        name: &Name,
        digest: &Digest,
        blob: &Bytes,
        session: Option<Upload>,
        deadline: Instant,
    ) -> Result<Put, Error> {
        let mut session = session;
        let mut lost = 0;
        loop {
            let upload = match session.take() {
                Some(upload) => upload,
                None => self.begin_upload(name, deadline).await?,
            };
            match self.finish_upload(upload, digest, blob.clone(), deadline).await {
                Ok(()) => return Ok(Put { lost }),
                Err(error) if error.cause == Cause::UploadLost && lost < ANEW => lost += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Finds out by trying how a registry treats uploads, by one in `name` that is dropped again. What a cut, a 5xx or a
    /// forgotten upload leaves unknown is tried again.
    ///
    /// # Errors
    /// As [`Client::begin_upload`].
    pub async fn recognise(&self, name: &Name, deadline: Instant) -> Result<Profile, Error> {
        let mut pauses = self.pauses().build();
        loop {
            let error = match self.recognise_once(name, deadline).await {
                Err(error) if error.cause.is_transient() || error.cause == Cause::UploadLost => error,
                found => return found,
            };
            match pauses.next().filter(|pause| Instant::now() + *pause < deadline) {
                Some(pause) => sleep(pause).await,
                // One that forgets every upload is none that is known.
                None if error.cause == Cause::UploadLost => return Ok(Profile::Other),
                None => return Err(error),
            }
        }
    }

    async fn recognise_once(&self, name: &Name, deadline: Instant) -> Result<Profile, Error> {
        let mut upload = self.begin_upload(name, deadline).await?;
        let first = upload.location.clone();
        // A part that leaves a gap: one appends it, another refuses it.
        let gap = self.part_request(&upload, Bytes::from_static(b"gap"), 5);
        let profile = match self.whole(&gap, &[416], ANSWER_LIMIT, deadline).await {
            Ok(answer) => {
                // It goes on elsewhere now: only there can it be dropped.
                let at = self.moved(&mut upload, &answer.headers, 0)?;
                let has_state = first.query_pairs().any(|(name, _)| name == "_state");
                match answer.status {
                    _ if !is_distribution(&answer.headers) || !has_state => Profile::Other,
                    202 if at == Some(3) && upload.location != first => Profile::Distribution2,
                    416 => Profile::Distribution3,
                    _ => Profile::Other,
                }
            }
            Err(error)
                if error.status.is_some()
                    && !error.cause.is_transient()
                    && error.cause != Cause::UploadLost =>
            {
                Profile::Other
            }
            Err(error) => {
                let failed = Err(error);
                let _ = self.cancel_upload(upload, deadline).await;
                return failed;
            }
        };
        let _ = self.cancel_upload(upload, deadline).await;
        Ok(profile)
    }

    fn begin(&self, operation: &'static str, url: Url, scopes: Scopes) -> Request {
        Request::new(Action::BeginUpload, operation, Method::POST, url, scopes).body(Bytes::new())
    }

    fn session(&self, name: &Name, url: &Url, headers: &HeaderMap) -> Result<Upload, Error> {
        let location = self.location(url, headers)?;
        let location = location
            .ok_or_else(|| Error::new(Cause::Protocol, "begin upload", "an upload without a Location"))?;
        Ok(Upload { name: name.clone(), location, offset: 0 })
    }

    fn part_request(&self, upload: &Upload, part: Bytes, start: u64) -> Request {
        let scopes = self.scopes(&upload.name);
        let range = format!("{start}-{}", (start + part.len() as u64).saturating_sub(1));
        let mut request =
            Request::new(Action::UploadPart, "upload part", Method::PATCH, upload.location.clone(), scopes)
                .header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
                .body(part);
        request.headers.extend(HeaderValue::try_from(range).ok().map(|range| (CONTENT_RANGE, range)));
        request.is_repeatable = false;
        request
    }

    /// Sends a part once, and again only where it surely was not taken.
    async fn patch(&self, upload: &mut Upload, part: Bytes, deadline: Instant) -> Result<(), Error> {
        let end = upload.offset + part.len() as u64;
        let request = self.part_request(upload, part, upload.offset);
        let answer = self.whole(&request, &[], ANSWER_LIMIT, deadline).await?;
        let at = self.moved(upload, &answer.headers, end)?;
        match at {
            Some(at) if at != end => {
                let said = format!("the registry has {at} bytes after a part up to {end}");
                Err(Error::new(Cause::Unavailable, "upload part", said).with_sent(Sent::Maybe))
            }
            _ => {
                upload.offset = end;
                Ok(())
            }
        }
    }

    /// Sends the end of an upload once.
    async fn put(
        &self,
        upload: &Upload,
        digest: &Digest,
        last: Bytes,
        deadline: Instant,
    ) -> Result<(), Error> {
        let mut url = upload.location.clone();
        url.query_pairs_mut().append_pair("digest", &digest.to_string());
        let weight = upload.offset + last.len() as u64;
        let mut request =
            Request::new(Action::FinishUpload, "finish upload", Method::PUT, url, self.scopes(&upload.name))
                .header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
                .body(last);
        request.is_repeatable = false;
        request.weight = weight;
        match self.whole(&request, &[], ANSWER_LIMIT, deadline).await? {
            Whole { status: 200 | 201 | 204, .. } => Ok(()),
            Whole { status, .. } => {
                let mut error = Error::new(Cause::Protocol, "finish upload", "no blob was made");
                error.status = Some(status);
                Err(error)
            }
        }
    }

    /// Finds out how far the registry has come, after something went wrong between `start` and `end`.
    async fn heal(
        &self,
        upload: &mut Upload,
        (start, end): (u64, u64),
        error: Error,
        tries: &mut Tries,
    ) -> Result<(), Error> {
        if is_unknown(&error) && tries.unknown < UNKNOWN {
            // Another copy of the registry may know it, and this one has done nothing.
            tries.unknown += 1;
            sleep(self.retries().first).await;
            return Ok(());
        }
        if is_gone(&error) || is_unknown(&error) {
            return Err(lost(error));
        }
        let is_range = error.status == Some(416);
        if !is_range && error.cause != Cause::Unavailable {
            return Err(error);
        }
        tries.pause(&error).await?;
        let before = upload.offset;
        let standing = self.upload_status(upload, tries.deadline).await?;
        let at = match standing {
            Standing::At(at) => at,
            Standing::Lost => return Err(lost(error)),
        };
        // "0-0" is no byte or one. Where the registry refused to begin at 0, it is one.
        let at = if at == 0 && before == 0 && is_range { 1 } else { at };
        let is_believed = at == start || at == end || self.profile().continues_a_part();
        if is_believed && (start..=end).contains(&at) {
            upload.offset = at;
            Ok(())
        } else {
            Err(lost(error))
        }
    }

    /// Takes in where an upload goes on, and how many bytes the registry says that it has, where `expected` are.
    fn moved(&self, upload: &mut Upload, headers: &HeaderMap, expected: u64) -> Result<Option<u64>, Error> {
        if let Some(location) = self.location(&upload.location, headers)? {
            upload.location = location;
        }
        Ok(text(headers, &RANGE).and_then(|range| end_of(range, expected)))
    }

    fn location(&self, url: &Url, headers: &HeaderMap) -> Result<Option<Url>, Error> {
        text(headers, &LOCATION).map(|target| self.own_address(url, target, "find upload")).transpose()
    }
}

/// How often something was tried for one part.
struct Tries {
    pauses: Box<dyn Iterator<Item = std::time::Duration> + Send>,
    deadline: Instant,
    unknown: u32,
    /// Whether the error at hand has been paused for.
    paused: bool,
}

impl Tries {
    fn of(client: &Client, deadline: Instant) -> Self {
        let pauses = Box::new(client.pauses().build());
        Self { pauses, deadline, unknown: 0, paused: false }
    }

    /// Whether the end of an upload may have been reached although this came of it.
    fn may_be_done(&self, error: &Error) -> bool {
        is_gone(error) || is_unknown(error) || error.cause == Cause::Unavailable || error.status == Some(416)
    }

    /// Waits before the registry is asked again, once for each error: what was cut may still be worked on.
    async fn pause(&mut self, error: &Error) -> Result<(), Error> {
        if std::mem::take(&mut self.paused) {
            return Ok(());
        }
        let pause = self.pauses.next().map(|pause| pause.max(error.retry_after.unwrap_or_default()));
        match pause.filter(|pause| Instant::now() + *pause < self.deadline) {
            Some(pause) => {
                sleep(pause).await;
                Ok(())
            }
            None => Err(error.clone()),
        }
    }
}

fn is_distribution(headers: &HeaderMap) -> bool {
    text(headers, &HeaderName::from_static("docker-distribution-api-version")) == Some("registry/2.0")
}

/// Whether the registry does not know the upload, and another copy of it may.
fn is_unknown(error: &Error) -> bool {
    error.code.as_deref() == Some("BLOB_UPLOAD_UNKNOWN")
}

/// Whether the upload is gone.
fn is_gone(error: &Error) -> bool {
    (error.cause == Cause::UploadLost && !is_unknown(error)) || error.cause == Cause::NotFound
}

fn lost(mut error: Error) -> Error {
    error.cause = Cause::UploadLost;
    error
}

/// How many bytes `0-<last>` is. It says 0-0 for none, and for one: it is one where one is `expected`.
fn end_of(range: &str, expected: u64) -> Option<u64> {
    let range = range.strip_prefix("bytes=").unwrap_or(range);
    let (start, last) = range.split_once('-')?;
    let (start, last): (u64, u64) = (start.parse().ok()?, last.parse().ok()?);
    match (start, last) {
        (0, 0) => Some(u64::from(expected == 1)),
        (0, last) => last.checked_add(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::end_of;

    #[test]
    fn reads_how_many_bytes_a_registry_has() {
        for (range, expected, end) in [
            ("0-9", 0, Some(10)),
            ("bytes=0-9", 0, Some(10)),
            ("0-0", 0, Some(0)),
            ("0-0", 1, Some(1)),
            ("5-9", 0, None),
            ("0-18446744073709551615", 0, None),
            ("0-", 0, None),
            ("", 0, None),
        ] {
            assert_eq!(end_of(range, expected), end, "{range} {expected}");
        }
    }
}
