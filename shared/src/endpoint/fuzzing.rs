//! A door for whoever feeds the reading of errors with rubbish. Built with the feature `fuzzing` alone.

use super::{Failure, data_api_error};

/// What an error of the Data API says about the statement.
#[must_use]
pub fn failure(status: u16, code: Option<&str>, message: &str) -> Failure {
    data_api_error::service_failure(status, code, message)
}
