use super::{ErrorClass, Execution, Failure};

/// A statement gave no rows. The text names the endpoint, the statement and what is known, and holds neither
/// bound values nor secrets.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{statement} at the {endpoint}: {failure} (sent {attempts}x)")]
pub struct EndpointError {
    /// Where it was sent: `writer`, `reader` or `read-only writer`.
    pub endpoint: &'static str,
    /// The statement's name.
    pub statement: &'static str,
    /// How often it was sent. The outcome covers all of them.
    pub attempts: u32,
    /// What is known.
    pub failure: Failure,
}

impl EndpointError {
    /// Whether the statement ran, in any of the times it was sent.
    #[must_use]
    pub const fn outcome(&self) -> Execution {
        self.failure.outcome
    }

    /// Why it gave no rows, the last time it was sent.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        self.failure.class
    }

    /// Whether the service is not available now (answer 503 with Retry-After). Otherwise it is a defect or a
    /// misconfiguration (answer 500).
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        self.failure.class.is_unavailable()
    }
}
