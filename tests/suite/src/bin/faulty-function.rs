//! A function of its own on the runtime that all functions share: it panics where its caller says, in the
//! handler or in the work after the answer.

use std::process::ExitCode;

use lambda_http::{Body, Request, RequestExt, Response};
use shared::runtime::{after_response, process, run_http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    process("faulty-function", run_http(|request, _budget| answer(request))).await
}

async fn answer(request: Request) -> Response<Body> {
    let path = request.raw_http_path().to_owned();
    assert!(!path.ends_with("/handler"), "panicked in the handler");
    after_response::defer(async move {
        assert!(!path.ends_with("/after"), "panicked after the response");
    });
    Response::new(Body::Text(std::process::id().to_string()))
}
