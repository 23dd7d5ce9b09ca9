//! Writing blobs: the life of an upload.
//!
//! A Location holds the offset that it was given at. Distribution 2 answers 404 to whoever comes with an older one than
//! the newest, be it that an answer was lost or a part was cut; distribution 3 answers GET at any, and 416 to the rest.

use std::sync::{Arc, Mutex};

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::StreamExt;
use http::header::{LOCATION, RANGE};
use http::{Method, StatusCode};
use serde_json::json;

use super::answer::{self, CONTENT_DIGEST, Code, UPLOAD_UUID, set};
use super::route::Call;
use super::shape::Pieces;
use super::store::{Named, Upload};
use super::traffic::Ticket;
use super::{Failure, Site};
use crate::digest::Digest;
use crate::lock::lock;
use crate::storage::StorageError;

impl Site {
    pub(super) fn begin(&self, call: &Call, name: &str) -> Result<Response, StorageError> {
        if let Some(refusal) = self.refuse_absent(name)? {
            return Ok(refusal);
        }
        let mounted = call.parameter("mount").and_then(|digest| Named::parse(&digest));
        if let (Some(Named::Sha256(digest)), Some(from)) = (mounted, call.parameter("from"))
            && crate::name::is_repository_name(&from)
            && self.store.blob_of(&from, &Named::Sha256(digest.clone()))?.is_some()
        {
            self.store.storage.link_layer(name, &digest)?;
            return Ok(self.stored(call, name, &digest));
        }
        // Whatever else is asked for, the body and a digest among it, becomes an upload.
        let id = self.store.begin_upload(name)?;
        Ok(self.progress(call, StatusCode::ACCEPTED, name, &id, 0))
    }

    pub(super) async fn upload(
        &self,
        call: &Call,
        body: Pieces,
        name: &str,
        id: &str,
        ticket: &Ticket,
    ) -> Result<Response, Failure> {
        let third = self.config.personality.is_third();
        let upload = self.store.upload(name, id);
        // Distribution 3 tells where an upload stands at any Location, without a state too.
        if !(third && call.reads()) {
            let Some(offset) = call.parameter("_state").and_then(|state| self.offset_of(&state, name, id))
            else {
                return Ok(self.writer().explained(Code::BlobUploadInvalid, "invalid secret"));
            };
            match &upload {
                Some(upload) if lock(upload).bytes != offset && third => {
                    return Ok(self.writer().bare_error(Code::RangeInvalid));
                }
                Some(upload) if lock(upload).bytes != offset => {
                    return Ok(self.writer().bare_error(Code::BlobUploadInvalid));
                }
                Some(_) | None => {}
            }
        }
        let Some(upload) = upload else { return Ok(self.unknown_upload()) };
        let size = lock(&upload).bytes;
        match call.method {
            Method::GET | Method::HEAD => Ok(self.progress(call, StatusCode::NO_CONTENT, name, id, size)),
            Method::PATCH => {
                if let Some(refusal) = self.refuse_part(call, size) {
                    return Ok(refusal);
                }
                let size = self.append(&upload, body, ticket).await?;
                Ok(self.progress(call, StatusCode::ACCEPTED, name, id, size))
            }
            Method::PUT => self.complete(call, body, name, (id, &upload), ticket).await,
            _ => {
                self.store.discard_upload(id);
                let mut response = answer::empty(StatusCode::NO_CONTENT);
                set(response.headers_mut(), UPLOAD_UUID, id);
                Ok(response)
            }
        }
    }

    async fn complete(
        &self,
        call: &Call,
        body: Pieces,
        name: &str,
        (id, upload): (&str, &Arc<Mutex<Upload>>),
        ticket: &Ticket,
    ) -> Result<Response, Failure> {
        let named = match call.parameter("digest") {
            None => return Ok(self.writer().error(Code::DigestInvalid, "digest missing")),
            Some(digest) => Named::parse(&digest),
        };
        let Some(named) = named else {
            return Ok(self.writer().error(Code::DigestInvalid, "digest parsing failed"));
        };
        self.append(upload, body, ticket).await?;
        let Some(digest) = self.store.finish_upload(id, &named)? else {
            let digest = call.parameter("digest").unwrap_or_default();
            return Ok(match self.config.personality.is_third() {
                false => self.writer().error(Code::DigestInvalid, json!({"Digest": digest, "Reason": {}})),
                true => {
                    let reason = format!(
                        "invalid digest for referenced layer: {digest}, content does not match digest"
                    );
                    self.writer().error(Code::DigestInvalid, reason)
                }
            });
        };
        ticket.note(|record| record.stored = Some(digest.to_string()));
        Ok(self.stored(call, name, &digest))
    }

    /// Adds what arrives, up to where it is cut: that stays, and the upload's offset is another then.
    async fn append(
        &self,
        upload: &Mutex<Upload>,
        mut body: Pieces,
        ticket: &Ticket,
    ) -> Result<u64, Failure> {
        let keep_at_most = self.settings().keep_at_most;
        let before = lock(upload).bytes;
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|_| Failure::Cut)?;
            let mut upload = lock(upload);
            let io = |source| StorageError::Io { path: self.store.storage.root().to_owned(), source };
            upload.append(&piece, keep_at_most).map_err(io)?;
            ticket.note(|record| record.upload = Some((before, upload.bytes)));
        }
        let after = lock(upload).bytes;
        ticket.note(|record| record.upload = Some((before, after)));
        Ok(after)
    }

    /// What distribution 3 looks at before it takes a part; distribution 2 appends whatever comes.
    fn refuse_part(&self, call: &Call, size: u64) -> Option<Response> {
        let kind = call.header("content-type").unwrap_or_default();
        if !kind.is_empty() && kind != "application/octet-stream" {
            return Some(self.writer().explained(Code::Unknown, "bad Content-Type"));
        }
        if !self.config.personality.is_third() {
            return None;
        }
        let range = call.header("content-range")?;
        let length: u64 = call.header("content-length")?.parse().ok()?;
        let ends =
            range.split_once('-').and_then(|(from, to)| Some((from.parse::<u64>().ok()?, to.parse().ok()?)));
        let Some((from, to)) = ends else {
            let detail = format!("invalid content range format, {range}");
            return Some(self.writer().error(Code::Unknown, detail));
        };
        if from > to || from != size {
            return Some(self.writer().bare_error(Code::RangeInvalid));
        }
        (length != to - from + 1).then(|| self.writer().bare_error(Code::SizeInvalid))
    }

    fn unknown_upload(&self) -> Response {
        self.writer().explained(Code::BlobUploadUnknown, "blob upload unknown")
    }

    fn stored(&self, call: &Call, name: &str, digest: &Digest) -> Response {
        let mut response = answer::empty(StatusCode::CREATED);
        let headers = response.headers_mut();
        set(headers, CONTENT_DIGEST, &digest.to_string());
        set(headers, LOCATION, &format!("http://{}/v2/{name}/blobs/{digest}", self.host(call)));
        response
    }

    fn progress(&self, call: &Call, status: StatusCode, name: &str, id: &str, size: u64) -> Response {
        let mut response = answer::empty(status);
        let headers = response.headers_mut();
        let state = self.state_of(name, id, size);
        let location = format!("http://{}/v2/{name}/blobs/uploads/{id}?_state={state}", self.host(call));
        set(headers, LOCATION, &location);
        set(headers, UPLOAD_UUID, id);
        set(headers, RANGE, &format!("0-{}", size.saturating_sub(1)));
        response
    }

    /// What a Location says about its upload, so that only this registry can have made it.
    fn state_of(&self, name: &str, id: &str, offset: u64) -> String {
        let seal = Digest::of(format!("{}{name}{id}{offset}", self.secret).as_bytes());
        URL_SAFE_NO_PAD.encode(json!({"id": id, "offset": offset, "seal": seal}).to_string())
    }

    fn offset_of(&self, state: &str, name: &str, id: &str) -> Option<u64> {
        let decoded: serde_json::Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(state).ok()?).ok()?;
        let offset = decoded["offset"].as_u64()?;
        (self.state_of(name, id, offset) == state).then_some(offset)
    }
}
