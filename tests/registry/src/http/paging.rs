//! Lists in pages: `n` entries after `last`, and a `Link` to the next page.

use axum::response::Response;
use http::StatusCode;
use http::header::{HeaderValue, LINK};
use serde_json::Value;

use super::{Call, answer};
use crate::error_code::ErrorCode;

/// The largest page that may be asked for.
const MAXIMUM: usize = 1000;

/// The page of `names` (sorted) that a call asks for, as `body` makes it. Without `n`, `usual` names; `None` is all.
pub(super) fn page(
    call: &Call,
    names: &[String],
    usual: Option<usize>,
    body: impl Fn(&[String]) -> Value,
) -> Response {
    let size = match call.parameter("n").map(|n| n.parse::<usize>()) {
        None => usual.unwrap_or(names.len()),
        Some(Ok(size)) if (1..=MAXIMUM).contains(&size) => size,
        Some(Ok(_) | Err(_)) => {
            return answer::error(ErrorCode::PaginationNumberInvalid, &call.parameter("n"));
        }
    };
    let last = call.parameter("last").unwrap_or_default();
    let rest = &names[names.partition_point(|name| *name <= last)..];
    let shown = &rest[..size.min(rest.len())];
    let mut response = answer::json(StatusCode::OK, &body(shown));
    if let (Some(end), true) = (shown.last(), rest.len() > shown.len()) {
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("last", end)
            .append_pair("n", &size.to_string())
            .finish();
        if let Ok(link) = HeaderValue::from_str(&format!("<{}?{query}>; rel=\"next\"", call.path)) {
            response.headers_mut().insert(LINK, link);
        }
    }
    response
}
