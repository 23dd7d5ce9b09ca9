//! Who may call. A presented value is never logged and never part of an answer.

mod refusals;

use std::time::Duration;

use http::{HeaderMap, header};

use self::refusals::note_refusal;
use super::Problem;
use crate::config::secrets::{SecretError, SharedSecret};

const CHALLENGE: &str = r#"Bearer realm="registry migration""#;

/// Admits the registry, which sends the shared secret bare, without a scheme, in `Authorization`.
///
/// # Errors
/// 401 for a secret that is missing, empty, wrong, or given twice; 503 when the store
/// that could tell a new secret from a wrong one cannot be read.
pub async fn registry(headers: &HeaderMap, secret: &SharedSecret) -> Result<(), Problem> {
    let refused = || {
        note_refusal();
        Problem::unauthorized("the shared secret is missing or wrong", None)
    };
    let presented = presented(headers).ok_or_else(refused)?;
    if secret.matches(presented).await.map_err(|error| unreadable(&error))? { Ok(()) } else { Err(refused()) }
}

/// Admits an operator, who sends `Authorization: Bearer <token>`.
///
/// # Errors
/// As [`registry`], with `WWW-Authenticate`.
pub async fn operator(headers: &HeaderMap, token: &SharedSecret) -> Result<(), Problem> {
    let refused = || {
        note_refusal();
        Problem::unauthorized("send the operator token as Authorization: Bearer <token>", Some(CHALLENGE))
    };
    let presented = presented(headers).and_then(bearer).ok_or_else(refused)?;
    if token.matches(presented).await.map_err(|error| unreadable(&error))? { Ok(()) } else { Err(refused()) }
}

/// The one value of `Authorization`, if it says anything.
fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter().map(|value| value.as_bytes().trim_ascii());
    let first = values.next()?;
    // A gateway joins several by commas: what it makes of them is no secret, so it is none here either.
    (!first.is_empty() && values.next().is_none()).then_some(first)
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let space = value.iter().position(|byte| *byte == b' ')?;
    let (scheme, token) = value.split_at(space);
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer") && !token.is_empty()).then_some(token)
}

fn unreadable(error: &SecretError) -> Problem {
    tracing::error!(%error, "a caller could not be authenticated");
    Problem::unavailable("callers cannot be authenticated now", Duration::from_secs(1))
}

#[cfg(test)]
mod tests;
