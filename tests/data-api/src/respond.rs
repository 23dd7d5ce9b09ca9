//! HTTP answers, whole ones and broken ones.

use bytes::Bytes;
use futures::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use crate::error::ApiError;

/// The connection is to end here, without a word.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut on purpose")]
pub(crate) struct Cut;

pub(crate) type Body = BoxBody<Bytes, Cut>;
pub(crate) type Answer = Result<Response<Body>, Cut>;

/// A JSON answer.
pub(crate) fn json(status: u16, value: &Value) -> Answer {
    text(status, value.to_string())
}

/// The same of JSON that is text already.
pub(crate) fn text(status: u16, text: String) -> Answer {
    finish(Response::builder().status(status), "application/json", text)
}

/// An error: its name in the header and in the body, as restJson1 clients look for it in either.
pub(crate) fn error(error: &ApiError) -> Answer {
    let name = error.code.name();
    let body = json!({ "__type": name, "message": error.message });
    let builder = Response::builder().status(error.code.status()).header("x-amzn-errortype", name);
    finish(builder, "application/json", body.to_string())
}

/// A status with a page that no SDK can read.
pub(crate) fn page(status: u16) -> Answer {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("");
    let body = format!("<html><body><h1>{status} {reason}</h1></body></html>");
    finish(Response::builder().status(status), "text/html", body)
}

/// The beginning of a JSON answer: the rest is promised and never comes.
pub(crate) fn half(text: String) -> Answer {
    let whole = Bytes::from(text);
    let part = whole.slice(..whole.len() / 2);
    let frames = stream::iter([Ok(Frame::data(part)), Err(Cut)]);
    Response::builder()
        .header("content-type", "application/json")
        .header("content-length", whole.len())
        .body(StreamBody::new(frames).boxed())
        .map_err(|_| Cut)
}

fn finish(builder: hyper::http::response::Builder, content_type: &str, body: String) -> Answer {
    builder
        .header("content-type", content_type)
        .header("x-amzn-requestid", uuid::Uuid::new_v4().to_string())
        .body(Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed())
        .map_err(|_| Cut)
}
