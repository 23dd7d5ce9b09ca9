//! Writing manifests and blobs: what users do while their repository is pre-imported.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::response::Response;
use futures::StreamExt;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue, LOCATION, RANGE};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use super::distribution::name_unknown;
use super::{App, Call, answer};
use crate::digest::Digest;
use crate::error_code::ErrorCode;
use crate::name::is_tag;
use crate::storage::{Storage, StorageError};

/// Manifests are small; distribution has the same limit.
const MANIFEST_BYTES: usize = 4 * 1024 * 1024;

/// The storage a push goes to. What is in neither storage is new.
fn target<'a>(app: &'a App, name: &str) -> &'a Storage {
    app.engine.serving(name).unwrap_or_else(|| app.engine.newest())
}

pub(super) async fn put_manifest(
    app: &App,
    body: Body,
    name: &str,
    reference: &str,
) -> Result<Response, StorageError> {
    let storage = target(app, name);
    let Ok(content) = axum::body::to_bytes(body, MANIFEST_BYTES).await else {
        return Ok(answer::error(ErrorCode::ManifestInvalid, &"the body is too large or incomplete"));
    };
    let by_digest = reference.parse::<Digest>().ok();
    if by_digest.as_ref().is_some_and(|expected| *expected != Digest::of(&content)) {
        return Ok(answer::error(ErrorCode::DigestInvalid, &reference));
    }
    if by_digest.is_none() && !is_tag(reference) {
        return Ok(answer::error(ErrorCode::TagInvalid, &reference));
    }
    let digest = storage.put_manifest(name, &content)?;
    if by_digest.is_none() {
        storage.put_tag(name, reference, &digest)?;
    }
    Ok(stored(&format!("/v2/{name}/manifests/{digest}"), &digest))
}

/// Removes a manifest together with the tags that name it.
pub(super) fn delete_manifest(app: &App, name: &str, reference: &str) -> Result<Response, StorageError> {
    let Some(storage) = app.engine.serving(name) else { return Ok(name_unknown(name)) };
    let Ok(digest) = reference.parse::<Digest>() else {
        return Ok(answer::error(ErrorCode::Unsupported, &reference));
    };
    if !storage.has_manifest(name, &digest)? {
        return Ok(answer::error(ErrorCode::ManifestUnknown, &reference));
    }
    for (tag, named) in storage.tags(name)? {
        if named == digest {
            storage.remove_tag(name, &tag)?;
        }
    }
    storage.remove_manifest(name, &digest)?;
    Ok(answer::empty(StatusCode::ACCEPTED))
}

pub(super) async fn begin(app: &App, call: &Call, body: Body, name: &str) -> Result<Response, StorageError> {
    let storage = target(app, name);
    let mounted = call.parameter("mount").and_then(|text| text.parse::<Digest>().ok());
    if let (Some(digest), Some(from)) = (mounted, call.parameter("from"))
        // Whoever names a source that is none uploads instead.
        && storage.has_layer(&from, &digest).unwrap_or(false)
    {
        storage.link_layer(name, &digest)?;
        return Ok(stored(&format!("/v2/{name}/blobs/{digest}"), &digest));
    }
    let id = Uuid::new_v4().to_string();
    let file = upload_path(storage, name, &id);
    if let Some(folder) = file.parent() {
        tokio::fs::create_dir_all(folder).await.map_err(|source| io_error(folder, source))?;
    }
    tokio::fs::write(&file, b"").await.map_err(|source| io_error(&file, source))?;
    if call.parameter("digest").is_some() {
        return complete(app, call, body, name, &id).await;
    }
    Ok(accepted(name, &id, 0))
}

pub(super) async fn append(app: &App, body: Body, name: &str, id: &str) -> Result<Response, StorageError> {
    let Some(file) = open_upload(app, name, id) else { return Ok(upload_unknown(id)) };
    let size = write_body(&file, body).await?;
    Ok(accepted(name, id, size))
}

pub(super) async fn complete(
    app: &App,
    call: &Call,
    body: Body,
    name: &str,
    id: &str,
) -> Result<Response, StorageError> {
    let Some(file) = open_upload(app, name, id) else { return Ok(upload_unknown(id)) };
    let Some(digest) = call.parameter("digest").and_then(|text| text.parse::<Digest>().ok()) else {
        return Ok(answer::error(ErrorCode::DigestInvalid, &"digest missing"));
    };
    write_body(&file, body).await?;
    let storage = target(app, name);
    let content = std::fs::File::open(&file).map_err(|source| io_error(&file, source))?;
    let put = storage.put_blob_from(content, &digest);
    discard(&file).await?;
    put?;
    storage.link_layer(name, &digest)?;
    Ok(stored(&format!("/v2/{name}/blobs/{digest}"), &digest))
}

pub(super) async fn abandon(app: &App, name: &str, id: &str) -> Result<Response, StorageError> {
    let Some(file) = open_upload(app, name, id) else { return Ok(upload_unknown(id)) };
    discard(&file).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// Where distribution keeps a blob that is not whole yet.
fn upload_path(storage: &Storage, name: &str, id: &str) -> PathBuf {
    let repository = storage.root().join("docker/registry/v2/repositories").join(name);
    repository.join("_uploads").join(id).join("data")
}

fn open_upload(app: &App, name: &str, id: &str) -> Option<PathBuf> {
    let id = Uuid::parse_str(id).ok()?;
    let file = upload_path(target(app, name), name, &id.to_string());
    file.is_file().then_some(file)
}

async fn write_body(path: &Path, body: Body) -> Result<u64, StorageError> {
    let io = |source| io_error(path, source);
    let mut file = tokio::fs::OpenOptions::new().append(true).open(path).await.map_err(io)?;
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| io(std::io::Error::other(error)))?;
        file.write_all(&piece).await.map_err(io)?;
    }
    file.flush().await.map_err(io)?;
    Ok(file.metadata().await.map_err(io)?.len())
}

async fn discard(file: &Path) -> Result<(), StorageError> {
    let Some(folder) = file.parent() else { return Ok(()) };
    match tokio::fs::remove_dir_all(folder).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|source| io_error(folder, source)),
    }
}

fn io_error(path: &Path, source: std::io::Error) -> StorageError {
    StorageError::Io { path: path.to_owned(), source }
}

fn upload_unknown(id: &str) -> Response {
    answer::error(ErrorCode::BlobUploadUnknown, &json!({"upload": id}))
}

fn stored(location: &str, digest: &Digest) -> Response {
    let mut response = answer::empty(StatusCode::CREATED);
    set(&mut response, LOCATION, location);
    set(&mut response, HeaderName::from_static("docker-content-digest"), &digest.to_string());
    response
}

fn accepted(name: &str, id: &str, size: u64) -> Response {
    let mut response = answer::empty(StatusCode::ACCEPTED);
    set(&mut response, LOCATION, &format!("/v2/{name}/blobs/uploads/{id}"));
    set(&mut response, HeaderName::from_static("docker-upload-uuid"), id);
    set(&mut response, RANGE, &format!("0-{}", size.saturating_sub(1)));
    response
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
