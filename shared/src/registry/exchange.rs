use jiff::Timestamp;
use reqwest::{
    Client, Method, Response,
    header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::{signing::Signing, token::Scope};
use crate::migration::AttemptId;

/// The longest body of the import protocol that is read, in bytes; the rest is cut off. The registry's answers
/// are far shorter.
const BODY: usize = 64 * 1024;

/// The longest page of a list that is read, in bytes: some registries do not know pages.
const LIST: usize = 8 * 1024 * 1024;

/// One request, without its token.
pub(super) struct Request {
    /// Its name in logs.
    pub operation: &'static str,
    pub method: Method,
    pub url: Url,
    pub attempt: Option<AttemptId>,
    /// What the token must allow.
    pub scope: Scope,
}

/// What came of a request.
#[derive(Debug)]
pub(super) enum Exchange {
    /// An answer; not `whole` where its body is longer than what is read.
    Answered { status: u16, headers: HeaderMap, body: Vec<u8>, whole: bool },
    /// Nobody can have received it.
    NotSent { reason: String },
    /// Somebody may have received it.
    Unknown { reason: String },
}

/// Sends a request once and reads the answer, the deadline permitting. Logs what came of it, never the token.
pub(super) async fn exchange(
    http: &Client,
    signing: &Signing,
    request: &Request,
    deadline: Instant,
) -> Exchange {
    let started = Instant::now();
    let result = if started >= deadline {
        Exchange::NotSent { reason: "no time left".to_owned() }
    } else {
        match timeout_at(deadline, authorization(signing, &request.scope)).await {
            Ok(Some(authorization)) => timeout_at(deadline, send(http, authorization, request))
                .await
                .unwrap_or_else(|_elapsed| Exchange::Unknown { reason: "timed out".to_owned() }),
            Ok(None) => Exchange::NotSent { reason: "no token can be signed".to_owned() },
            Err(_elapsed) => Exchange::NotSent { reason: "the signing key is not read in time".to_owned() },
        }
    };
    let (outcome, status) = match &result {
        Exchange::Answered { status, .. } => ("answered", Some(*status)),
        Exchange::NotSent { reason } | Exchange::Unknown { reason } => (reason.as_str(), None),
    };
    tracing::debug!(
        operation = request.operation,
        url_path = request.url.path(),
        attempt = request.attempt.map(tracing::field::display),
        outcome,
        status,
        elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "registry called"
    );
    result
}

/// The header that carries the token, marked so that nothing shows it.
async fn authorization(signing: &Signing, scope: &Scope) -> Option<HeaderValue> {
    let tokens = match signing.tokens().await {
        Ok(tokens) => tokens,
        Err(error) => {
            tracing::error!(%error, counter = "secret_unread", "the registry is not asked: no token can be signed");
            return None;
        }
    };
    let token: SecretString = tokens.of(scope, Timestamp::now()).ok()?;
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

async fn send(http: &Client, authorization: HeaderValue, request: &Request) -> Exchange {
    let mut builder = http
        .request(request.method.clone(), request.url.clone())
        .header(AUTHORIZATION, authorization)
        .header(ACCEPT, "application/json");
    if let Some(attempt) = request.attempt {
        builder = builder.header("X-Request-ID", attempt.to_string());
    }
    let response = match builder.send().await {
        Ok(response) => response,
        Err(error) if error.is_connect() => {
            return Exchange::NotSent { reason: "no connection".to_owned() };
        }
        Err(error) if error.is_builder() => {
            return Exchange::NotSent { reason: "the request cannot be built".to_owned() };
        }
        Err(_) => {
            return Exchange::Unknown { reason: "the connection broke off before the answer".to_owned() };
        }
    };
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let limit = match request.scope {
        Scope::Import => BODY,
        Scope::Catalogue | Scope::Pull(_) => LIST,
    };
    match read(response, limit).await {
        Ok((body, whole)) => Exchange::Answered { status, headers, body, whole },
        Err(_) => Exchange::Unknown { reason: format!("the connection broke off in the answer {status}") },
    }
}

async fn read(mut response: Response, limit: usize) -> Result<(Vec<u8>, bool), reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > limit {
            body.truncate(limit);
            return Ok((body, false));
        }
    }
    Ok((body, true))
}
