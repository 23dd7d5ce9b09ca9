use std::time::Duration;

use super::Problem;
use crate::endpoint::EndpointError;

/// An endpoint that could not serve, as an answer: 503 with `Retry-After` when it is not available now,
/// otherwise a defect or a misconfiguration, of which the caller learns nothing. The log gets all of it here,
/// so that no route can forget to.
impl From<&EndpointError> for Problem {
    fn from(error: &EndpointError) -> Self {
        if error.is_unavailable() {
            tracing::warn!(%error, "an endpoint is not available");
            Self::unavailable("the database is not available now", Duration::from_secs(1))
        } else {
            tracing::error!(%error, "an endpoint refused a statement");
            Self::defect()
        }
    }
}

impl From<EndpointError> for Problem {
    fn from(error: EndpointError) -> Self {
        Self::from(&error)
    }
}
