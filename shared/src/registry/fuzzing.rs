//! Doors for whoever feeds the reading of answers with rubbish. Built with the feature `fuzzing` alone.

use url::Url;

use super::{
    CancelAnswer, Incomplete, ProbeAnswer, StartAnswer, StatusAnswer, exchange::Exchange, interpret, list,
    names,
};
use crate::migration::RepositoryPath;

/// What an answer means to each of the client's questions about one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meanings {
    /// To a start.
    pub start: StartAnswer,
    /// To a question for its status.
    pub status: StatusAnswer,
    /// To a cancelation.
    pub cancel: CancelAnswer,
    /// To a forced cancelation.
    pub forced: CancelAnswer,
    /// To the question whether this is a registry.
    pub probe: ProbeAnswer,
    /// The error's code.
    pub code: Option<String>,
    /// What of it stands in logs.
    pub described: String,
}

/// Reads an answer in every way in which the client does.
#[must_use]
pub fn meanings(status: u16, body: &[u8], path: &RepositoryPath) -> Meanings {
    let answered = || Exchange::Answered {
        status,
        headers: reqwest::header::HeaderMap::new(),
        body: body.to_vec(),
        whole: true,
    };
    Meanings {
        start: interpret::start(answered(), path),
        status: interpret::status(answered(), path),
        cancel: interpret::cancel(answered(), path, false),
        forced: interpret::cancel(answered(), path, true),
        probe: interpret::probe(answered()),
        code: interpret::error_code(body),
        described: interpret::described(status, body),
    }
}

/// The names of a list's page, and how many entries are none; None: it is no such list.
#[must_use]
pub fn names(body: &[u8], member: &str) -> Option<(Vec<String>, u32)> {
    names::read_names(body, member).map(|read| (read.names, read.no_names))
}

/// Where a page's link leads.
///
/// # Errors
/// [`Incomplete`] where that is not the registry.
pub fn linked(page: &Url, target: &str) -> Result<Url, Incomplete> {
    list::same_origin(page, target)
}
