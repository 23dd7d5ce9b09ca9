//! Reading manifests and blobs.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue};
use tokio_util::io::ReaderStream;

use super::distribution::name_unknown;
use super::{App, answer};
use crate::digest::Digest;
use crate::error_code::ErrorCode;
use crate::name::is_tag;
use crate::storage::{Manifest, Storage, StorageError};

pub(super) fn manifest(app: &App, name: &str, reference: &str) -> Result<Response, StorageError> {
    let Some(storage) = app.engine.serving(name) else { return Ok(name_unknown(name)) };
    let Some(digest) = resolve(storage, name, reference)? else {
        return Ok(answer::error(ErrorCode::ManifestUnknown, &reference));
    };
    let content = storage.read_blob(&digest)?;
    let media_type = Manifest::parse(&content)?.media_type;
    Ok(content_response(&digest, content.len() as u64, &media_type, content.into()))
}

pub(super) async fn blob(app: &App, name: &str, digest: &str) -> Result<Response, StorageError> {
    let Some(storage) = app.engine.serving(name) else { return Ok(name_unknown(name)) };
    let Ok(digest) = digest.parse::<Digest>() else {
        return Ok(answer::error(ErrorCode::DigestInvalid, &digest));
    };
    if !storage.has_layer(name, &digest)? {
        return Ok(answer::error(ErrorCode::BlobUnknown, &digest));
    }
    let path = storage.blob_path(&digest);
    let io = |source| StorageError::Io { path: path.clone(), source };
    let file = tokio::fs::File::open(&path).await.map_err(io)?;
    let size = file.metadata().await.map_err(io)?.len();
    let body = Body::from_stream(ReaderStream::new(file));
    Ok(content_response(&digest, size, "application/octet-stream", body))
}

/// The digest that a tag names, or a digest that is one of the repository's manifests.
fn resolve(storage: &Storage, name: &str, reference: &str) -> Result<Option<Digest>, StorageError> {
    if let Ok(digest) = reference.parse::<Digest>() {
        return Ok(storage.has_manifest(name, &digest)?.then_some(digest));
    }
    if !is_tag(reference) {
        return Ok(None);
    }
    Ok(storage.tags(name)?.remove(reference))
}

fn content_response(digest: &Digest, size: u64, media_type: &str, body: Body) -> Response {
    let mut response = answer::empty(StatusCode::OK);
    *response.body_mut() = body;
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    for (name, value) in [
        (CONTENT_TYPE, media_type.to_owned()),
        (ETAG, format!("\"{digest}\"")),
        (http::HeaderName::from_static("docker-content-digest"), digest.to_string()),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}
