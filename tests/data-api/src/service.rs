//! One HTTP request: read, checked, met by a fault or carried out, noted, answered.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request as HttpRequest};
use serde_json::{Map, Value};

use crate::error::{ApiError, ErrorCode};
use crate::faults::Effect;
use crate::journal::{Outcome, milliseconds};
use crate::respond::{self, Answer, Cut};
use crate::shared::Shared;
use crate::wire::{Operation, Request};
use crate::{call, control, signature};

/// What is read of a body before the connection is given up: far above any limit that is answered properly.
const READ_AT_MOST: usize = 64 * 1024 * 1024;

pub(crate) async fn handle(shared: Arc<Shared>, request: HttpRequest<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, READ_AT_MOST).collect().await.map_err(|_| Cut)?.to_bytes();
    let path = head.uri.path();
    if let Some(path) = path.strip_prefix("/-/") {
        return control::answer(&shared, &head.method, path, &body);
    }
    match read(&shared, &head.method, path, &head.headers, &body) {
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

fn read(
    shared: &Shared,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<(Operation, Request), ApiError> {
    let operation = Operation::of_path(path)
        .filter(|_| *method == Method::POST)
        .ok_or_else(|| ApiError::new(ErrorCode::UnknownOperationException, "There is no such operation."))?;
    signature::check(headers)?;
    let head: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if head + body.len() > shared.config.limits.request_bytes {
        return Err(ApiError::new(ErrorCode::RequestEntityTooLargeException, "Request is too long."));
    }
    let members = serde_json::from_slice::<Map<String, Value>>(body);
    let request = members.and_then(|members| serde_json::from_value(members.into())).map_err(|error| {
        // The position tells enough: the text could repeat a value.
        let place = format!("line {}, column {}", error.line(), error.column());
        ApiError::new(ErrorCode::SerializationException, format!("The request cannot be read at {place}."))
    })?;
    Ok((operation, request))
}

async fn carry_out(shared: Arc<Shared>, operation: Operation, request: Request) -> Told {
    let arrived = Instant::now();
    let number = shared.journal.begin(operation, &request);
    let effect = shared.faults.meet(operation, &request);
    if let Some(delay) = effect.as_ref().and_then(Effect::delay) {
        tokio::time::sleep(delay).await;
    }
    let result = match effect.as_ref().is_none_or(Effect::runs) {
        true => Some(call::answer(&shared, operation, &request).await),
        false => None,
    };
    let ran = matches!(result, Some(Ok(_)))
        || matches!(&result, Some(Err(error)) if error.code == ErrorCode::UnsupportedResultException);
    let fault = effect.is_some();
    let told = told(effect, result);
    let (status, error) = told.outcome();
    let milliseconds = milliseconds(arrived.elapsed());
    shared.journal.end(number, Outcome { status, error, ran, fault, milliseconds });
    told
}

/// What the caller gets to see.
enum Told {
    Result(Value),
    Half(Value),
    Error(ApiError),
    Page(u16),
    Cut,
    Nothing,
}

fn told(effect: Option<Effect>, result: Option<Result<Value, ApiError>>) -> Told {
    let plain = |result: Option<Result<Value, ApiError>>| match result {
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
            Some(Ok(_)) => Told::Error(ApiError::unsupported_result("Database response exceeded size limit")),
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
            Self::Result(value) => respond::json(200, &value),
            Self::Half(value) => respond::half(&value),
            Self::Error(error) => respond::error(&error),
            Self::Page(status) => respond::page(status),
            Self::Cut | Self::Nothing => Err(Cut),
        }
    }
}
