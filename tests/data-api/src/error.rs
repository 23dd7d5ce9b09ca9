//! What the Data API answers when it does not answer with a result.

use serde::{Deserialize, Serialize};
use tokio_postgres::error::{DbError, ErrorPosition, SqlState};

/// The name of an error, as it stands in the `x-amzn-errortype` header and in the body.
///
/// The first group is botocore's `rds-data/2018-08-01` model. The second is not in the model: what AWS's
/// front end answers before the service sees a call, and what SDKs report as unhandled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the model's; their meaning is its documentation")]
pub enum ErrorCode {
    AccessDeniedException,
    BadRequestException,
    DatabaseErrorException,
    DatabaseNotFoundException,
    DatabaseResumingException,
    DatabaseUnavailableException,
    ForbiddenException,
    HttpEndpointNotEnabledException,
    InternalServerErrorException,
    InvalidResourceStateException,
    InvalidSecretException,
    NotFoundException,
    SecretsErrorException,
    ServiceUnavailableError,
    StatementTimeoutException,
    TransactionNotFoundException,
    UnsupportedResultException,

    IncompleteSignatureException,
    InternalFailure,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    RequestEntityTooLargeException,
    SerializationException,
    ThrottlingException,
    UnknownOperationException,
    ValidationException,
}

impl ErrorCode {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::AccessDeniedException => "AccessDeniedException",
            Self::BadRequestException => "BadRequestException",
            Self::DatabaseErrorException => "DatabaseErrorException",
            Self::DatabaseNotFoundException => "DatabaseNotFoundException",
            Self::DatabaseResumingException => "DatabaseResumingException",
            Self::DatabaseUnavailableException => "DatabaseUnavailableException",
            Self::ForbiddenException => "ForbiddenException",
            Self::HttpEndpointNotEnabledException => "HttpEndpointNotEnabledException",
            Self::InternalServerErrorException => "InternalServerErrorException",
            Self::InvalidResourceStateException => "InvalidResourceStateException",
            Self::InvalidSecretException => "InvalidSecretException",
            Self::NotFoundException => "NotFoundException",
            Self::SecretsErrorException => "SecretsErrorException",
            Self::ServiceUnavailableError => "ServiceUnavailableError",
            Self::StatementTimeoutException => "StatementTimeoutException",
            Self::TransactionNotFoundException => "TransactionNotFoundException",
            Self::UnsupportedResultException => "UnsupportedResultException",
            Self::IncompleteSignatureException => "IncompleteSignatureException",
            Self::InternalFailure => "InternalFailure",
            Self::InvalidSignatureException => "InvalidSignatureException",
            Self::MissingAuthenticationTokenException => "MissingAuthenticationTokenException",
            Self::RequestEntityTooLargeException => "RequestEntityTooLargeException",
            Self::SerializationException => "SerializationException",
            Self::ThrottlingException => "ThrottlingException",
            Self::UnknownOperationException => "UnknownOperationException",
            Self::ValidationException => "ValidationException",
        }
    }

    /// The HTTP status that the model gives the error.
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequestException
            | Self::DatabaseErrorException
            | Self::DatabaseResumingException
            | Self::HttpEndpointNotEnabledException
            | Self::InvalidResourceStateException
            | Self::InvalidSecretException
            | Self::SecretsErrorException
            | Self::StatementTimeoutException
            | Self::UnsupportedResultException
            | Self::SerializationException
            | Self::ThrottlingException
            | Self::ValidationException => 400,
            Self::AccessDeniedException
            | Self::ForbiddenException
            | Self::IncompleteSignatureException
            | Self::InvalidSignatureException
            | Self::MissingAuthenticationTokenException => 403,
            Self::DatabaseNotFoundException
            | Self::NotFoundException
            | Self::TransactionNotFoundException
            | Self::UnknownOperationException => 404,
            Self::RequestEntityTooLargeException => 413,
            Self::InternalFailure | Self::InternalServerErrorException => 500,
            Self::ServiceUnavailableError => 503,
            Self::DatabaseUnavailableException => 504,
        }
    }
}

/// An error answer: its name and the text a caller reads.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {message}", code.name())]
pub struct ApiError {
    /// Which error.
    pub code: ErrorCode,
    /// The `message` member of the body.
    pub message: String,
    /// The statement ran nevertheless.
    pub ran: bool,
}

impl ApiError {
    /// An error of this name with this text.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), ran: false }
    }

    /// The request itself is at fault; nothing was sent to the database.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ValidationException, message)
    }

    /// The result cannot be put on the wire. The statement ran.
    pub fn unsupported_result(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::UnsupportedResultException, message)
    }

    /// The result is larger than a result may be. The statement ran.
    pub fn too_large() -> Self {
        Self::unsupported_result("Database response exceeded size limit")
    }

    /// The writer instance does not answer.
    pub fn no_writer() -> Self {
        let message = "The writer instance in the DB cluster isn't available.";
        Self::new(ErrorCode::DatabaseUnavailableException, message)
    }

    /// What PostgreSQL, or the way to it, said.
    ///
    /// A connection that ends without a word from the server leaves the outcome unknown, which is what
    /// `DatabaseUnavailableException` says; a server that gave a reason is a `DatabaseErrorException`.
    pub fn from_postgres(error: &tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(reason) => Self::new(ErrorCode::DatabaseErrorException, database_message(reason)),
            None => Self::new(ErrorCode::DatabaseUnavailableException, error.to_string()),
        }
    }

    /// What PostgreSQL said of a prepared statement, by the name that the real service gives it.
    pub fn from_database(reason: &DbError, statement: &str) -> Self {
        let message = database_message(reason);
        let message = match message.split_once("prepared statement \"") {
            Some((before, rest)) => match rest.split_once('"') {
                Some((_, after)) => format!("{before}prepared statement \"{statement}\"{after}"),
                None => message,
            },
            None => message,
        };
        Self::new(ErrorCode::DatabaseErrorException, message)
    }

    /// Why no connection could be made. A server that is still starting, or is on its way down, is
    /// unavailable like one that does not listen.
    pub fn from_connect(error: &tokio_postgres::Error) -> Self {
        match error.code() {
            Some(code) if *code == SqlState::CANNOT_CONNECT_NOW => Self::no_writer(),
            Some(_) => Self::from_postgres(error),
            None => Self::no_writer(),
        }
    }
}

/// The server's words on one line, SQLSTATE last. Details are left out, and each severity is called an error.
fn database_message(reason: &DbError) -> String {
    let mut text = format!("ERROR: {}", reason.message());
    if let Some(hint) = reason.hint() {
        text.push_str(&format!("; Hint: {hint}"));
    }
    match reason.position() {
        Some(ErrorPosition::Original(position)) => text.push_str(&format!("; Position: {position}")),
        Some(ErrorPosition::Internal { .. }) | None => {}
    }
    text.push_str(&format!("; SQLState: {}", reason.code().code()));
    text
}
