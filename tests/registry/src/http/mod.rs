//! Answering HTTP: the import protocol, the distribution API for users, and the test's own interface.

mod answer;
mod control;
mod distribution;
mod import;
mod paging;
mod pull;
mod push;

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::header::HeaderValue;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use percent_encoding::percent_decode_str;

use crate::engine::Engine;
use crate::registry::Inner;
use crate::server::Answer;

pub(crate) use answer::CutConnection;

/// What answers calls: one run of the registry and what outlives it.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub engine: Arc<Engine>,
    pub registry: Arc<Inner>,
}

/// One call, as far as it has been taken apart.
struct Call {
    method: Method,
    /// Decoded, as the real registry's router sees it.
    path: String,
    query: String,
    uri: Uri,
    headers: HeaderMap,
}

impl Call {
    /// The first value of a query parameter.
    fn parameter(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Answer for App {
    async fn answer(self, request: Request<Body>) -> Response {
        dispatch(self, request).await
    }
}

/// Answers one call.
async fn dispatch(app: App, request: Request<Body>) -> Response {
    let request_id = request
        .headers()
        .get("x-request-id")
        .cloned()
        .or_else(|| HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()).ok());
    let mut response = route(&app, request, request_id.as_ref()).await;
    if let Some(id) = request_id {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}

async fn route(app: &App, request: Request<Body>, request_id: Option<&HeaderValue>) -> Response {
    let Ok(path) = percent_decode_str(request.uri().path()).decode_utf8() else {
        return answer::plain(StatusCode::BAD_REQUEST, "the path is not UTF-8");
    };
    let path = path.into_owned();
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let call = Call { method: parts.method, path, query, uri: parts.uri, headers: parts.headers };
    let first = call.path.split('/').nth(1).unwrap_or_default();
    match first {
        "gitlab" if app.engine.is_in_migration_mode() => import::answer(app, &call, request_id).await,
        "v2" => distribution::answer(app, &call, body).await,
        "-" => control::answer(app, &call, body).await,
        _ => answer::not_found(),
    }
}
