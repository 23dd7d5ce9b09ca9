use std::error::Error;

use aws_sdk_rdsdata::error::{ProvideErrorMetadata, SdkError};

use super::{ErrorClass, Execution, Failure, SqlState, failure::cut};
use crate::aws_errors::{is_out_of_time, is_throttling};

/// What the SDK's error says about the statement, or about the transaction's beginning or end.
pub(super) fn failure_of<E>(error: &SdkError<E>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ConstructionFailure(_) => unsendable(),
        SdkError::DispatchFailure(failure) => match http_error(error) {
            Some(error) if error.is_connect() => Failure::new(Execution::DidNotRun, ErrorClass::Unavailable)
                .with_detail("no connection to the service"),
            // It failed before the HTTP client was asked: no credentials, for example.
            None if failure.is_other() => unsendable(),
            Some(_) | None => Failure::new(Execution::Unknown, ErrorClass::Unavailable)
                .with_detail("the connection to the service broke off"),
        },
        SdkError::TimeoutError(_) => Failure::new(Execution::Unknown, ErrorClass::Timeout),
        SdkError::ServiceError(error) => {
            let (status, error) = (error.raw().status().as_u16(), error.err());
            service_failure(status, error.code(), error.message().unwrap_or_default())
        }
        // ResponseError, and whatever the SDK may add: something was answered, and nobody can read it.
        _ => {
            Failure::new(Execution::Unknown, ErrorClass::Unavailable).with_detail("the answer cannot be read")
        }
    }
}

fn unsendable() -> Failure {
    Failure::new(Execution::DidNotRun, ErrorClass::Misconfigured)
        .with_detail("the request could not be built or signed")
}

/// The HTTP client's own error: it knows whether there ever was a connection, so whether anybody can have
/// received the request. The SDK does not pass that on.
fn http_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a hyper_util::client::legacy::Error> {
    std::iter::successors(Some(error), |&error| error.source()).find_map(|error| error.downcast_ref())
}

/// What an error answered by the Data API says about the statement. Many of its errors are not in the
/// service's model, so the name decides, and the HTTP status where the name says nothing.
pub(super) fn service_failure(status: u16, code: Option<&str>, message: &str) -> Failure {
    use Execution::{DidNotRun, Unknown};
    let named = code.unwrap_or_default();
    let (outcome, class) = match named {
        "DatabaseErrorException" => return database_failure(named, message),
        "BadRequestException" => return bad_request(named, message),
        "DatabaseResumingException" => (DidNotRun, ErrorClass::Resuming),
        "StatementTimeoutException" => (Unknown, ErrorClass::Timeout),
        "InvalidResourceStateException" => (DidNotRun, ErrorClass::Unavailable),
        "DatabaseUnavailableException" | "InternalServerErrorException" | "ServiceUnavailableError" => {
            (Unknown, ErrorClass::Unavailable)
        }
        "RequestTimeout" | "RequestTimeoutException" => (Unknown, ErrorClass::Timeout),
        // Also where Secrets Manager did not answer the Data API in time.
        "SecretsErrorException" => (DidNotRun, ErrorClass::Unavailable),
        name if is_throttling(name) => (DidNotRun, ErrorClass::Throttled),
        name if is_out_of_time(name, message) => (DidNotRun, ErrorClass::Unavailable),
        "DatabaseNotFoundException"
        | "HttpEndpointNotEnabledException"
        | "InvalidSecretException"
        | "AccessDeniedException"
        | "ForbiddenException"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "NotAuthorized"
        | "OptInRequired"
        | "SignatureDoesNotMatch"
        | "UnknownOperationException"
        | "UnrecognizedClientException" => (DidNotRun, ErrorClass::Misconfigured),
        "ValidationException" => {
            return Failure::new(DidNotRun, ErrorClass::Defect).with_code(named).with_detail(cut(message));
        }
        "TransactionNotFoundException" => (DidNotRun, ErrorClass::Defect),
        "UnsupportedResultException" => (Unknown, ErrorClass::Undecodable),
        _ => match status {
            429 => (DidNotRun, ErrorClass::Throttled),
            // A success or a redirect that comes out as an error is not the service's answer.
            ..400 | 500.. => (Unknown, ErrorClass::Unavailable),
            _ => (Unknown, ErrorClass::Defect),
        },
    };
    let mut failure = Failure::new(outcome, class);
    if speaks_of_aws_alone(named) && !message.is_empty() {
        failure = failure.with_detail(cut(message));
    }
    match code {
        Some(code) => failure.with_code(&cut(code)),
        None => failure.with_code(&format!("HTTP {status}")),
    }
}

/// Errors whose message says who may not do what, or what is not there. It is AWS's own and quotes no value.
fn speaks_of_aws_alone(code: &str) -> bool {
    matches!(
        code,
        "AccessDeniedException"
            | "DatabaseNotFoundException"
            | "ForbiddenException"
            | "HttpEndpointNotEnabledException"
    )
}

/// PostgreSQL refused the statement: its SQLSTATE says why.
fn database_failure(code: &str, message: &str) -> Failure {
    let Some(state) = sql_state(message) else {
        return Failure::new(Execution::RanAndFailed, ErrorClass::Defect).with_code(code);
    };
    Failure::of_postgres(state, message).with_code(code)
}

/// A name that covers much: only its message tells what happened.
fn bad_request(code: &str, message: &str) -> Failure {
    if sql_state(message).is_some() {
        return database_failure(code, message);
    }
    let message = message.to_ascii_lowercase();
    let class = if message.contains("timed out") || message.contains("timeout") {
        ErrorClass::Timeout
    } else if message.contains("communications link") || message.contains("connection") {
        ErrorClass::ConnectionLost
    } else {
        ErrorClass::Defect
    };
    Failure::new(Execution::Unknown, class).with_code(code)
}

/// The code in a message that ends `; SQLState: 23505`, with or without a position before it.
fn sql_state(message: &str) -> Option<SqlState> {
    let (_, code) = message.rsplit_once("SQLState: ")?;
    SqlState::parse(code.get(..5)?)
}
