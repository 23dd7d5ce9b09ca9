//! A door for whoever feeds the gateway's events with rubbish. Built with the feature `fuzzing` alone.

use lambda_http::{Context, Request, lambda_runtime::LambdaEvent, request::LambdaRequest};

use super::servable;
use crate::web::Problem;

/// The request that an event becomes, or what is answered to it before any handler sees it.
///
/// # Errors
/// A 400 for an event that makes no request.
pub fn request(event: LambdaRequest) -> Result<Request, Problem> {
    let event = servable::servable(LambdaEvent::new(event, Context::default()));
    let request = Request::from(event.payload);
    servable::refusal(&request).map_or(Ok(request), Err)
}
