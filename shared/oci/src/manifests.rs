//! Manifests: asked for, read and written.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE},
};
use tokio::time::Instant;

use crate::{
    Action, Client, Digest, Error, MANIFEST_LIMIT, MANIFEST_TYPES, Manifest, Name, Reference, Tag,
    auth::Scopes,
    error::Cause,
    exchange::{Request, Whole},
    manifest::named_type,
};

const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// What a registry says of a manifest without giving it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// What names it.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
    /// Of what type it is.
    pub media_type: String,
}

/// What came of writing a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is there, and its digest is the one that the registry said.
    Done,
    /// The tag may not be changed, and names this manifest already.
    Already,
}

impl Client {
    /// What a reference stands for. None: it is not there.
    ///
    /// # Errors
    /// Any [`Cause`] but [`Cause::NotFound`].
    pub async fn head_manifest(
        &self,
        name: &Name,
        reference: &Reference,
        deadline: Instant,
    ) -> Result<Option<Head>, Error> {
        let request =
            self.manifest_request(Action::HeadManifest, "head manifest", Method::HEAD, name, reference);
        let Some(answer) = found(self.whole(&request, &[], 0, deadline).await)? else { return Ok(None) };
        let size = text(&answer.headers, &CONTENT_LENGTH).and_then(|text| text.parse().ok());
        let media_type = text(&answer.headers, &CONTENT_TYPE);
        match (said_digest(&answer.headers), size, media_type) {
            (Some(digest), Some(size), Some(media_type)) => {
                agrees(&digest, reference, "head manifest")?;
                Ok(Some(Head { digest, size, media_type: media_type.to_owned() }))
            }
            // Not every registry says all of it.
            _ => Ok(self.get_manifest(name, reference, deadline).await?.map(|manifest| Head {
                digest: manifest.digest().clone(),
                size: manifest.bytes().len() as u64,
                media_type: manifest.media_type().to_owned(),
            })),
        }
    }

    /// A manifest, whose bytes are those that its digest names. None: it is not there.
    ///
    /// # Errors
    /// [`Cause::DigestMismatch`] where the bytes are others; [`Cause::TooLarge`] above [`MANIFEST_LIMIT`].
    pub async fn get_manifest(
        &self,
        name: &Name,
        reference: &Reference,
        deadline: Instant,
    ) -> Result<Option<Manifest>, Error> {
        let request =
            self.manifest_request(Action::GetManifest, "get manifest", Method::GET, name, reference);
        let answer = self.whole(&request, &[], MANIFEST_LIMIT, deadline).await;
        let Some(Whole { headers, body, .. }) = found(answer)? else { return Ok(None) };
        let said = text(&headers, &CONTENT_TYPE).map(str::to_owned);
        let media_type = said.or_else(|| named_type(&body)).unwrap_or_default();
        let manifest = match (reference, said_digest(&headers)) {
            (Reference::Digest(digest), _) => Manifest::named(body, media_type, digest)?,
            // What the registry says is checked too: a proxy may have changed the bytes.
            (Reference::Tag(_), Some(digest)) => Manifest::named(body, media_type, &digest)?,
            (Reference::Tag(_), None) => Manifest::new(body, media_type),
        };
        Ok(Some(manifest))
    }

    /// Writes a manifest, byte for byte, with its type as it was read.
    ///
    /// # Errors
    /// [`Cause::DigestMismatch`] where the registry says another digest than the bytes'; [`Cause::Conflict`] where a tag
    /// that may not be changed names another manifest; [`Cause::BlobUnknown`] where the registry lacks what the manifest
    /// names.
    pub async fn put_manifest(
        &self,
        name: &Name,
        reference: &Reference,
        manifest: &Manifest,
        deadline: Instant,
    ) -> Result<Written, Error> {
        let operation = "put manifest";
        let invalid = |said: &str| Error::new(Cause::ManifestInvalid, operation, said);
        let media_type = HeaderValue::from_str(manifest.media_type())
            .map_err(|_| invalid("the manifest's type is no header"))?;
        if manifest.bytes().len() > MANIFEST_LIMIT {
            return Err(Error::new(Cause::TooLarge, operation, "the manifest is too large"));
        }
        agrees(manifest.digest(), reference, operation)?;
        let url = self.within(name, ["manifests", &reference.to_string()]);
        let request = Request::new(Action::PutManifest, operation, Method::PUT, url, self.scopes(name))
            .header(CONTENT_TYPE, media_type)
            .body(manifest.bytes().clone());
        match self.whole(&request, &[], 64 << 10, deadline).await {
            Ok(answer) => match said_digest(&answer.headers) {
                Some(said) if !is_same(&said, manifest) => {
                    let said = format!("the registry says {said} for the bytes of {}", manifest.digest());
                    Err(Error::new(Cause::DigestMismatch, operation, said))
                }
                _ => Ok(Written::Done),
            },
            Err(error) => self.explain(error, name, reference, manifest, deadline).await,
        }
    }

    /// Removes a tag, and nothing else: the manifest stays, and its other tags. Whether it was there.
    ///
    /// # Errors
    /// [`Cause::Protocol`], and nothing is asked, of a registry that is not known to remove a tag alone.
    pub async fn delete_tag(&self, name: &Name, tag: &Tag, deadline: Instant) -> Result<bool, Error> {
        let operation = "delete tag";
        if !self.profile().deletes_tags() {
            let said =
                "the registry is not known to remove a tag without its manifest and all its other tags";
            return Err(Error::new(Cause::Protocol, operation, said));
        }
        let url = self.within(name, ["manifests", tag.as_str()]);
        let scopes = Scopes::deleting(name);
        let request = Request::new(Action::DeleteTag, operation, Method::DELETE, url, scopes);
        Ok(found(self.whole(&request, &[], 64 << 10, deadline).await)?.is_some())
    }

    /// A refusal may say that all is as it should be, and registries differ in how they say what is missing.
    async fn explain(
        &self,
        mut error: Error,
        name: &Name,
        reference: &Reference,
        manifest: &Manifest,
        deadline: Instant,
    ) -> Result<Written, Error> {
        if error.cause == Cause::Conflict {
            let there = self.head_manifest(name, reference, deadline).await?;
            if there.is_some_and(|there| is_same(&there.digest, manifest)) {
                return Ok(Written::Already);
            }
        }
        if error.code.as_deref() == Some("MANIFEST_UNKNOWN") {
            error.cause = Cause::BlobUnknown;
        }
        Err(error)
    }

    fn manifest_request(
        &self,
        action: Action,
        operation: &'static str,
        method: Method,
        name: &Name,
        reference: &Reference,
    ) -> Request {
        let url = self.within(name, ["manifests", &reference.to_string()]);
        let mut request = Request::new(action, operation, method, url, self.scopes(name));
        request.headers.extend(MANIFEST_TYPES.iter().map(|name| (ACCEPT, HeaderValue::from_static(name))));
        // Whatever else there is: it is copied as it is.
        request.header(ACCEPT, HeaderValue::from_static("*/*;q=0.1"))
    }
}

/// Turns "not found" into None.
pub fn found<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.cause == Cause::NotFound || (error.status == Some(404) && is_unknown(&error)) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn is_unknown(error: &Error) -> bool {
    matches!(error.code.as_deref(), Some("BLOB_UNKNOWN" | "MANIFEST_UNKNOWN" | "NAME_UNKNOWN"))
}

pub fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

fn said_digest(headers: &HeaderMap) -> Option<Digest> {
    text(headers, &DIGEST).and_then(|text| Digest::parse(text).ok())
}

/// A reference by digest stands for that digest alone.
fn agrees(digest: &Digest, reference: &Reference, operation: &'static str) -> Result<(), Error> {
    match reference {
        Reference::Digest(asked) if asked.algorithm() == digest.algorithm() && asked != digest => {
            let said = format!("{digest} in the place of {asked}");
            Err(Error::new(Cause::DigestMismatch, operation, said))
        }
        Reference::Digest(_) | Reference::Tag(_) => Ok(()),
    }
}

/// Whether `said` names the manifest's bytes. A registry may name by SHA-256 what we name by SHA-512.
fn is_same(said: &Digest, manifest: &Manifest) -> bool {
    let bytes: &Bytes = manifest.bytes();
    said == manifest.digest() || *said == Digest::of(said.algorithm(), bytes)
}
