//! Names of errors that all services of AWS use alike, most of them outside of a service's own model.

/// Whether the service had too much to do, and did not look at the request.
pub(crate) fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        "BandwidthLimitExceeded"
            | "EC2ThrottledException"
            | "LimitExceededException"
            | "PriorRequestNotComplete"
            | "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "SlowDown"
            | "ThrottledException"
            | "Throttling"
            | "ThrottlingException"
            | "TooManyRequestsException"
    )
}

/// Whether the request's signature was too old when it arrived, or not valid yet: signed anew it may do. Some names
/// also mean a signature that is wrong, and only the message tells.
pub(crate) fn is_out_of_time(code: &str, message: &str) -> bool {
    match code {
        "RequestExpired" | "RequestInTheFuture" | "RequestTimeTooSkewed" => true,
        "AuthFailure" | "InvalidSignatureException" | "SignatureDoesNotMatch" => {
            message.contains("Signature expired") || message.contains("Signature not yet current")
        }
        _ => false,
    }
}
