//! One HTTP request: read, checked, met by a fault or carried out, noted, answered.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request as HttpRequest};

use crate::error::{ApiError, ErrorCode};
use crate::faults::Effect;
use crate::journal::{Outcome, milliseconds};
use crate::respond::{self, Answer, Cut};
use crate::shared::Shared;
use crate::wire::{Operation, Request};
use crate::{call, control, signature};

/// What is read of a body before the connection is given up: far above any limit that is answered properly. What is
/// beyond the limit is not kept.
const READ_AT_MOST: usize = 64 * 1024 * 1024;

pub(crate) async fn handle(shared: Arc<Shared>, request: HttpRequest<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let limits = &shared.config.limits;
    let body = tokio::time::timeout(limits.request, whole(body, limits.request_bytes));
    let body = body.await.map_err(|_| Cut)??;
    let path = head.uri.path();
    if path == "/health" {
        return control::answer(&shared, &head.method, "health", &body).await;
    }
    if let Some(path) = path.strip_prefix("/-/") {
        return control::answer(&shared, &head.method, path, &body).await;
    }
    match read(&shared, &head.method, path, &head.headers, body) {
        Err(error) => respond::error(&error),
        Ok((operation, request)) => {
            let task = carry_out(Arc::clone(&shared), operation, request);
            match shared.spawn(task).await.unwrap_or(Told::Cut) {
                // Whoever hangs up ends the wait with the connection.
                Told::Nothing => std::future::pending().await,
                told => told.answer(),
            }
        }
    }
}

/// The body, or one byte more than the limit of it.
async fn whole(mut body: Incoming, limit: usize) -> Result<Bytes, Cut> {
    let mut kept = BytesMut::new();
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Cut)?.into_data() else { continue };
        read += data.len();
        if read > READ_AT_MOST {
            return Err(Cut);
        }
        let room = (limit + 1).saturating_sub(kept.len());
        kept.extend_from_slice(&data[..data.len().min(room)]);
    }
    Ok(kept.freeze())
}

fn read(
    shared: &Shared,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<(Operation, Request), ApiError> {
    let operation = Operation::of_path(path)
        .filter(|_| *method == Method::POST)
        .ok_or_else(|| ApiError::new(ErrorCode::UnknownOperationException, "There is no such operation."))?;
    signature::check(headers)?;
    let head: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if head + body.len() > shared.config.limits.request_bytes {
        return Err(ApiError::new(ErrorCode::RequestEntityTooLargeException, "Request is too long."));
    }
    Ok((operation, Request::read(&body)?))
}

async fn carry_out(shared: Arc<Shared>, operation: Operation, mut request: Request) -> Told {
    let arrived = Instant::now();
    let number = shared.journal.begin(operation, &request);
    let effect = shared.faults.meet(operation, &request);
    if let Some(delay) = effect.as_ref().and_then(Effect::delay) {
        tokio::time::sleep(delay).await;
    }
    let result = match effect.as_ref().is_none_or(Effect::runs) {
        true => Some(call::answer(&shared, operation, &mut request).await),
        false => None,
    };
    let ran = match &result {
        Some(Ok(_)) => true,
        Some(Err(error)) => error.ran,
        None => false,
    };
    let fault = effect.is_some();
    let told = told(effect, result);
    let (status, error) = told.outcome();
    let milliseconds = milliseconds(arrived.elapsed());
    tracing::info!(
        ?operation,
        cluster = request.resource_arn.as_deref().unwrap_or_default(),
        status,
        error = error.map(ErrorCode::name),
        ran,
        fault,
        milliseconds = (milliseconds * 100.0).round() / 100.0,
        "call"
    );
    shared.journal.end(number, Outcome { status, error, ran, fault, milliseconds });
    told
}

/// What the caller gets to see.
enum Told {
    Result(String),
    Half(String),
    Error(ApiError),
    Page(u16),
    Cut,
    Nothing,
}

fn told(effect: Option<Effect>, result: Option<Result<String, ApiError>>) -> Told {
    let plain = |result: Option<Result<String, ApiError>>| match result {
        Some(Ok(value)) => Told::Result(value),
        Some(Err(error)) => Told::Error(error),
        None => Told::Cut,
    };
    match effect {
        None | Some(Effect::Slow { .. }) => plain(result),
        Some(Effect::Error { code, .. }) => Told::Error(ApiError::new(code, injected(code))),
        Some(Effect::Status { status, .. }) => Told::Page(status),
        Some(Effect::Cut { .. }) => Told::Cut,
        Some(Effect::Hang { .. }) => Told::Nothing,
        Some(Effect::HalfAnswer) => match result {
            Some(Ok(value)) => Told::Half(value),
            other => plain(other),
        },
        Some(Effect::Oversized) => match result {
            Some(Ok(_)) => Told::Error(ApiError::too_large()),
            other => plain(other),
        },
        Some(Effect::WrongSecret) => Told::Error(ApiError::new(
            ErrorCode::InvalidSecretException,
            "The Secrets Manager secret used with the request isn't valid.",
        )),
    }
}

/// The text AWS's model gives the error, where it gives one.
fn injected(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::DatabaseResumingException => {
            "The Aurora Serverless DB instance is resuming after being auto-paused. \
             Please wait a few seconds and try again."
        }
        ErrorCode::ThrottlingException => "Rate exceeded",
        _ => "The fault that was asked for.",
    }
}

impl Told {
    fn outcome(&self) -> (Option<u16>, Option<ErrorCode>) {
        match self {
            Self::Result(_) | Self::Half(_) => (Some(200), None),
            Self::Error(error) => (Some(error.code.status()), Some(error.code)),
            Self::Page(status) => (Some(*status), None),
            Self::Cut | Self::Nothing => (None, None),
        }
    }

    fn answer(self) -> Answer {
        match self {
            Self::Result(text) => respond::text(200, text),
            Self::Half(text) => respond::half(text),
            Self::Error(error) => respond::error(&error),
            Self::Page(status) => respond::page(status),
            Self::Cut | Self::Nothing => Err(Cut),
        }
    }
}
