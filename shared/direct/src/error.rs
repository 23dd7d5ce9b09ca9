//! What PostgreSQL's and the connection's errors say about a statement: the same classes as the Data API's.

use std::error::Error as StdError;

use shared::endpoint::{ErrorClass, Execution, Failure, SqlState};
use tokio_postgres::Error;

/// A statement that was sent and gave no rows.
pub(crate) fn of_statement(error: &Error) -> Failure {
    match of_postgres(error) {
        Some(failure) => failure,
        // Nobody can tell how far it got.
        None => Failure::new(Execution::Unknown, ErrorClass::ConnectionLost)
            .with_detail("the connection to the database broke off"),
    }
}

/// A connection that could not be made: whatever it was, no statement was sent.
pub(crate) fn of_connecting(error: &Error) -> Failure {
    if let Some(failure) = of_postgres(error) {
        return Failure { outcome: Execution::DidNotRun, ..failure };
    }
    if causes(error).any(|cause| cause.is::<rustls::Error>()) {
        return misconfigured("the server's certificate is not trusted for its name, or TLS failed");
    }
    // The client refuses by itself: a server without TLS, an authentication that it does not know.
    if causes(error).all(|cause| cause.downcast_ref::<std::io::Error>().is_none()) && !error.is_closed() {
        return misconfigured("the server offers no TLS, or no supported authentication method");
    }
    unavailable("no connection to the database")
}

/// Nobody is there to connect to, or to say as whom.
pub(crate) fn unavailable(detail: impl Into<String>) -> Failure {
    Failure::new(Execution::DidNotRun, ErrorClass::Unavailable).with_detail(detail)
}

pub(crate) fn misconfigured(detail: impl Into<String>) -> Failure {
    Failure::new(Execution::DidNotRun, ErrorClass::Misconfigured).with_detail(detail)
}

fn of_postgres(error: &Error) -> Option<Failure> {
    let reported = error.as_db_error()?;
    let state = SqlState::parse(reported.code().code())?;
    // As the Data API's text has it: the constraint is named in the message.
    Some(Failure::of_postgres(state, reported.message()))
}

/// The error and what is behind it. An I/O error hides the TLS error in it from `source`.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
        None => error.source(),
    })
}
