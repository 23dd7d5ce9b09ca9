use std::fmt;

use http::HeaderValue;
use lambda_http::{Request, RequestExt};

/// The invocation's id: in every log line, and in every answer as `x-request-id`, so that a caller's report
/// leads to the lines that explain it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// The id that Lambda gave this invocation; `unknown` for a request that came through no invocation.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        let id = request.lambda_context_ref().map(|context| context.request_id.as_str());
        Self::new(id.filter(|id| !id.is_empty()).unwrap_or("unknown"))
    }

    /// Wraps an id known otherwise.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(id.to_owned())
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static("unknown"))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
