//! `/v2/`: the distribution API, so that tools can pull and push. Open to everybody, unlike the real one: who may
//! pull is not what is tested here.

use axum::body::Body;
use axum::response::Response;
use http::header::HeaderValue;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{App, Call, answer, paging, pull, push};
use crate::error_code::ErrorCode;
use crate::name::is_repository_name;
use crate::status::Status;
use crate::storage::StorageError;

/// What a path below `/v2/<name>/` is about.
#[derive(Debug, PartialEq, Eq)]
enum Target<'a> {
    Tags,
    Manifest(&'a str),
    Blob(&'a str),
    /// Empty to begin an upload.
    Upload(&'a str),
}

pub(super) async fn answer(app: &App, call: &Call, body: Body) -> Response {
    let mut response = match route(app, call, body).await {
        Ok(response) => response,
        Err(error) => storage_error(&error),
    };
    response
        .headers_mut()
        .insert("docker-distribution-api-version", HeaderValue::from_static("registry/2.0"));
    response
}

async fn route(app: &App, call: &Call, body: Body) -> Result<Response, StorageError> {
    let path = call.path.clone();
    match path.as_str() {
        "/v2" | "/v2/" => return Ok(answer::json(StatusCode::OK, &json!({}))),
        "/v2/_catalog" => return catalog(app, call),
        _ => {}
    }
    let Some((name, target)) = path.strip_prefix("/v2/").and_then(parse) else {
        return Ok(answer::not_found());
    };
    let reads = matches!(call.method, Method::GET | Method::HEAD);
    if !reads && app.engine.report(name).is_some_and(|report| report.status == Status::ImportInProgress) {
        return Ok(answer::error(ErrorCode::Unavailable, &format!("repository path {name}")));
    }
    match (call.method.as_str(), target) {
        ("GET" | "HEAD", Target::Tags) => tags(app, call, name),
        ("GET" | "HEAD", Target::Manifest(reference)) => pull::manifest(app, name, reference),
        ("PUT", Target::Manifest(reference)) => push::put_manifest(app, body, name, reference).await,
        ("DELETE", Target::Manifest(reference)) => push::delete_manifest(app, name, reference),
        ("GET" | "HEAD", Target::Blob(digest)) => pull::blob(app, name, digest).await,
        ("POST", Target::Upload("")) => push::begin(app, call, body, name).await,
        ("PATCH", Target::Upload(id)) => push::append(app, body, name, id).await,
        ("PUT", Target::Upload(id)) => push::complete(app, call, body, name, id).await,
        ("DELETE", Target::Upload(id)) => push::abandon(app, name, id).await,
        (_, Target::Tags | Target::Manifest(_) | Target::Blob(_) | Target::Upload(_)) => {
            Ok(answer::error(ErrorCode::Unsupported, &Value::Null))
        }
    }
}

/// Takes `<name>/<what>` apart. The name may hold slashes and even the words used here, so it is cut from behind.
fn parse(rest: &str) -> Option<(&str, Target<'_>)> {
    let (before, last) = rest.rsplit_once('/')?;
    let (name, target) = if let Some(name) = before.strip_suffix("/blobs/uploads") {
        (name, Target::Upload(last))
    } else if let Some(name) = before.strip_suffix("/manifests") {
        (name, Target::Manifest(last))
    } else if let (Some(name), true) = (before.strip_suffix("/blobs"), last == "uploads") {
        (name, Target::Upload(""))
    } else if let Some(name) = before.strip_suffix("/blobs") {
        (name, Target::Blob(last))
    } else {
        (before.strip_suffix("/tags").filter(|_| last == "list")?, Target::Tags)
    };
    is_repository_name(name).then_some((name, target))
}

fn catalog(app: &App, call: &Call) -> Result<Response, StorageError> {
    let names = app.engine.newest().repositories()?;
    Ok(paging::page(call, &names, Some(100), |shown| json!({"repositories": shown})))
}

fn tags(app: &App, call: &Call, name: &str) -> Result<Response, StorageError> {
    let Some(storage) = app.engine.serving(name) else { return Ok(name_unknown(name)) };
    let tags: Vec<String> = storage.tags(name)?.into_keys().collect();
    Ok(paging::page(call, &tags, None, |shown| json!({"name": name, "tags": shown})))
}

pub(super) fn name_unknown(name: &str) -> Response {
    answer::error(ErrorCode::NameUnknown, &json!({"name": name}))
}

fn storage_error(error: &StorageError) -> Response {
    let code = match error {
        StorageError::InvalidName(_) => ErrorCode::TagInvalid,
        StorageError::BlobUnknown(_) => ErrorCode::ManifestBlobUnknown,
        StorageError::DigestMismatch { .. } => ErrorCode::DigestInvalid,
        StorageError::InvalidManifest { .. } => ErrorCode::ManifestInvalid,
        StorageError::Io { .. } | StorageError::InvalidLink { .. } | StorageError::Differs { .. } => {
            tracing::error!(%error, "the storage failed");
            ErrorCode::Unknown
        }
    };
    answer::error(code, &error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_the_words_of_the_api() {
        assert_eq!(parse("a/tags/list/tags/list"), Some(("a/tags/list", Target::Tags)));
        assert_eq!(parse("a/manifests/manifests/v1"), Some(("a/manifests", Target::Manifest("v1"))));
        assert_eq!(parse("a/blobs/uploads/"), Some(("a", Target::Upload(""))));
        assert_eq!(parse("a/blobs/uploads"), Some(("a", Target::Upload(""))));
        assert_eq!(parse("a/blobs/uploads/x"), Some(("a", Target::Upload("x"))));
        assert_eq!(parse("a/blobs/sha256:0"), Some(("a", Target::Blob("sha256:0"))));
        assert_eq!(parse("A/tags/list"), None);
        assert_eq!(parse("tags/list"), None);
    }
}
