//! Reading blobs: from the registry itself and from the address that it redirects to.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures::{StreamExt, stream};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderValue,
};
use http::{Method, StatusCode};

use super::Site;
use super::answer::{self, CONTENT_DIGEST, Code, set};
use super::route::Call;
use super::shape::Broken;
use super::store::{Content, Named};
use super::traffic::Ticket;
use crate::digest::Digest;
use crate::storage::StorageError;

/// What a `Range` asks for of so many bytes.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    /// From, to before.
    Part(u64, u64),
    /// It cannot be met.
    Beyond,
    /// It is none.
    Malformed,
}

impl Site {
    pub(super) async fn blob(
        &self,
        call: &Call,
        name: &str,
        digest: &str,
        ticket: &Ticket,
    ) -> Result<Response, StorageError> {
        let Some(named) = Named::parse(digest) else {
            return Ok(self.writer().explained(Code::DigestInvalid, "invalid checksum digest length"));
        };
        let Some(canonical) = self.store.blob_of(name, &named)? else {
            return Ok(self.writer().error(Code::BlobUnknown, digest));
        };
        let Some(content) = self.store.content(&canonical)? else {
            return Ok(self.writer().error(Code::BlobUnknown, digest));
        };
        if let Some(seconds) = self.settings().redirect_blobs {
            let until = now() + seconds;
            let to = format!(
                "{}/files/{canonical}?X-Expires={until}&X-Signature={}",
                self.files_url,
                self.signature(&canonical, until)
            );
            return Ok(answer::redirect(StatusCode::TEMPORARY_REDIRECT, &to));
        }
        let mut response = self.content(call, content, ticket).await?;
        let refused = response.status() == StatusCode::RANGE_NOT_SATISFIABLE;
        let headers = response.headers_mut();
        set(headers, CONTENT_DIGEST, &canonical.to_string());
        if refused && self.config.personality.is_third() {
            return Ok(response);
        }
        set(headers, ETAG, &format!("\"{canonical}\""));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=31536000"));
        Ok(response)
    }

    /// Answers what a blob was redirected to, as a store of files does: who still sends credentials is refused.
    pub(super) async fn file(
        &self,
        call: &Call,
        digest: &str,
        ticket: &Ticket,
    ) -> Result<Response, StorageError> {
        let refuse = |status: StatusCode, code: &str, message: &str| {
            let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
            answer::bytes(status, "application/xml", body)
        };
        if call.header("authorization").is_some() {
            let message = "Only one auth mechanism allowed";
            return Ok(refuse(StatusCode::BAD_REQUEST, "InvalidArgument", message));
        }
        let until = call.parameter("X-Expires").and_then(|until| until.parse().ok()).unwrap_or_default();
        let digest: Option<Digest> = digest.parse().ok();
        let signed =
            digest.filter(|digest| call.parameter("X-Signature") == Some(self.signature(digest, until)));
        let Some(digest) = signed else {
            return Ok(refuse(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", "The signature is wrong"));
        };
        if until <= now() {
            return Ok(refuse(StatusCode::FORBIDDEN, "AccessDenied", "Request has expired"));
        }
        match self.store.content(&digest)? {
            Some(content) => self.content(call, content, ticket).await,
            None => Ok(refuse(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist.")),
        }
    }

    fn signature(&self, digest: &Digest, until: u64) -> String {
        Digest::of(format!("{}{digest}{until}", self.secret).as_bytes()).hex()[..32].to_owned()
    }

    pub(super) fn delete_blob(&self, name: &str, digest: &str) -> Result<Response, StorageError> {
        let Some(named) = Named::parse(digest) else {
            return Ok(self.writer().explained(Code::DigestInvalid, "invalid checksum digest length"));
        };
        match self.store.blob_of(name, &named)? {
            Some(canonical) => {
                self.store.storage.remove_layer(name, &canonical)?;
                Ok(answer::empty(StatusCode::ACCEPTED))
            }
            None => Ok(self.writer().bare_error(Code::BlobUnknown)),
        }
    }

    /// The bytes that are asked for, with what says which they are.
    async fn content(
        &self,
        call: &Call,
        content: Content,
        ticket: &Ticket,
    ) -> Result<Response, StorageError> {
        let size = content.size();
        let (status, from, to) = match wanted(call.header("range"), size) {
            Wanted::All => (StatusCode::OK, 0, size),
            Wanted::Part(from, to) => (StatusCode::PARTIAL_CONTENT, from, to),
            refused => return Ok(self.cannot_be_met(&refused, size)),
        };
        let mut response = answer::empty(status);
        if call.method == Method::GET {
            let io = |source| StorageError::Io { path: self.store.storage.root().to_owned(), source };
            *response.body_mut() = content.body(from, to).await.map_err(io)?;
            ticket.note(|record| record.from = Some(from));
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(to - from));
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        if status == StatusCode::PARTIAL_CONTENT {
            set(headers, CONTENT_RANGE, &format!("bytes {from}-{}/{size}", to - 1));
        }
        Ok(response)
    }

    fn cannot_be_met(&self, refused: &Wanted, size: u64) -> Response {
        let text = match refused {
            Wanted::Beyond => "invalid range: failed to overlap\n",
            Wanted::All | Wanted::Part(..) | Wanted::Malformed => "invalid range\n",
        };
        let plain = "text/plain; charset=utf-8";
        let mut response = answer::bytes(StatusCode::RANGE_NOT_SATISFIABLE, plain, text.to_owned());
        let headers = response.headers_mut();
        if *refused == Wanted::Beyond {
            set(headers, CONTENT_RANGE, &format!("bytes */{size}"));
        }
        if !self.config.personality.is_third() {
            // It says how long the whole blob is, sends the sentence, and hangs up.
            headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
            let sentence = stream::iter([Ok(Bytes::from(text))]);
            *response.body_mut() = Body::from_stream(sentence.chain(stream::once(async {
                // The sentence leaves first: what waits in buffers does when this is not ready at once.
                tokio::task::yield_now().await;
                Err(Broken)
            })));
        }
        response
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// One range, as clients of registries ask for. Several at once are not asked for by anybody: all of it is answered.
fn wanted(range: Option<&str>, size: u64) -> Wanted {
    let Some(range) = range else { return Wanted::All };
    let Some(range) = range.strip_prefix("bytes=") else { return Wanted::Malformed };
    if range.contains(',') {
        return Wanted::All;
    }
    let Some((from, to)) = range.split_once('-') else { return Wanted::Malformed };
    match (from.parse::<u64>(), to.parse::<u64>()) {
        (Ok(from), Ok(to)) if from <= to && from < size => Wanted::Part(from, (to + 1).min(size)),
        (Ok(from), Err(_)) if to.is_empty() && from < size => Wanted::Part(from, size),
        (Err(_), Ok(last)) if from.is_empty() && last > 0 => Wanted::Part(size.saturating_sub(last), size),
        (Ok(from), _) if from >= size && (to.is_empty() || to.parse::<u64>().is_ok()) => Wanted::Beyond,
        _ => Wanted::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_range_as_it_is_asked_for() {
        for (range, expected) in [
            (None, Wanted::All),
            (Some("bytes=0-9"), Wanted::Part(0, 10)),
            (Some("bytes=90-"), Wanted::Part(90, 100)),
            (Some("bytes=90-999"), Wanted::Part(90, 100)),
            (Some("bytes=-10"), Wanted::Part(90, 100)),
            (Some("bytes=100-"), Wanted::Beyond),
            (Some("bytes=100-200"), Wanted::Beyond),
            (Some("bytes=x"), Wanted::Malformed),
            (Some("bytes=9-1"), Wanted::Malformed),
            (Some("bytes=0-0,5-9"), Wanted::All),
        ] {
            assert_eq!(wanted(range, 100), expected, "{range:?}");
        }
    }
}
