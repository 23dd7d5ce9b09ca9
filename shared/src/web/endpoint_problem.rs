use std::time::Duration;

use super::Problem;
use crate::endpoint::EndpointError;

/// An endpoint that could not serve, as an answer: 503 with `Retry-After` when it is not available now,
/// otherwise a defect or a misconfiguration, of which the caller learns nothing. The log gets all of it here,
/// so that no route can forget to.
impl From<&EndpointError> for Problem {
    fn from(error: &EndpointError) -> Self {
        if error.is_unavailable() {
            tracing::warn!(%error, "the database is not available");
            Self::unavailable("the database is not available now", Duration::from_secs(1))
        } else {
            tracing::error!(%error, "the database refused a statement");
            Self::defect()
        }
    }
}

impl From<EndpointError> for Problem {
    fn from(error: EndpointError) -> Self {
        Self::from(&error)
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use crate::{
        endpoint::{EndpointError, ErrorClass, Execution, Failure},
        telemetry::{LogLevel, capture::Capture},
        web::{Problem, RequestId},
    };

    fn error(class: ErrorClass) -> EndpointError {
        let failure = Failure {
            outcome: Execution::DidNotRun,
            class,
            sql_state: None,
            code: Some("SomeException".to_owned()),
            detail: Some("something about the inside".to_owned()),
        };
        EndpointError { endpoint: "writer", statement: "apply_notification", attempts: 1, failure }
    }

    #[test]
    fn an_endpoint_that_is_not_available_is_503_with_retry_after() {
        for class in
            [ErrorClass::Resuming, ErrorClass::Unavailable, ErrorClass::Timeout, ErrorClass::ReadOnly]
        {
            let response = Problem::from(&error(class)).into_response(&RequestId::new("r-1"));
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{class:?}");
            assert_eq!(response.headers()["retry-after"], "1");
        }
    }

    #[test]
    fn a_defect_is_logged_and_the_caller_learns_only_the_request_id() {
        let log = Capture::begin("test", LogLevel::default());
        for class in [ErrorClass::Defect, ErrorClass::Misconfigured, ErrorClass::Undecodable] {
            assert_eq!(Problem::from(error(class)), Problem::defect(), "{class:?}");
        }
        let lines = log.lines();
        assert_eq!(lines.len(), 3);
        assert!(
            lines.iter().all(|line| line["error"].as_str().unwrap().contains("apply_notification")),
            "{lines:?}"
        );
    }
}
