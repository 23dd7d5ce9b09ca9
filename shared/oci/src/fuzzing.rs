//! Doors for whoever feeds the reading of answers with rubbish. Built with the feature `fuzzing` alone.

use http::HeaderMap;
use url::Url;

pub use crate::auth::challenge::Challenge;
use crate::{Client, Error, Name, Tag, auth, list};

/// Every challenge of an answer that is understood.
#[must_use]
pub fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    auth::challenge::challenges(headers)
}

/// The address of a realm to which credentials may go.
///
/// # Errors
/// Why they may not.
pub fn trusted(realm: &str, registry: &Url, named: &[String]) -> Result<Url, String> {
    auth::realm::trusted(realm, registry, named)
}

/// The tags of a list's page, and what stands among them and is none.
#[must_use]
pub fn tags(body: &[u8]) -> Option<(Vec<Tag>, Vec<String>)> {
    list::read(body, "tags")
}

/// As [`tags`], of the catalogue.
#[must_use]
pub fn names(body: &[u8]) -> Option<(Vec<Name>, Vec<String>)> {
    list::read(body, "repositories")
}

/// Where a page's link leads.
///
/// # Errors
/// Where that is not the registry of `client`.
pub fn linked(client: &Client, page: &Url, target: &str) -> Result<Url, Error> {
    client.own_address(page, target, "list")
}
