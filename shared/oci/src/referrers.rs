//! What refers to a manifest: by the registry's API, or by the tag that stands in for it.

use http::Method;
use tokio::time::Instant;

use answer_headers::{NextPage, next_page};

use crate::{
    Action, Client, Descriptor, Digest, Error, MANIFEST_LIMIT, Manifest, Name, OCI_INDEX, error::Cause,
    exchange::Request,
};

/// How many pages are read.
const PAGES: usize = 1000;

impl Client {
    /// What refers to a manifest, by the referrers API. None: the registry has no such API, and [`Client::fallback_index`]
    /// tells.
    ///
    /// # Errors
    /// [`Cause::ManifestInvalid`] for an answer that is no index.
    pub async fn referrers(
        &self,
        name: &Name,
        digest: &Digest,
        deadline: Instant,
    ) -> Result<Option<Vec<Descriptor>>, Error> {
        if self.lacks_referrers() {
            return Ok(None);
        }
        let operation = "list referrers";
        let mut url = self.within(name, ["referrers", &digest.to_string()]);
        let mut found = Vec::new();
        for _ in 0..PAGES {
            let request =
                Request::new(Action::Referrers, operation, Method::GET, url.clone(), self.scopes(name));
            let answer = match self.whole(&request, &[], MANIFEST_LIMIT, deadline).await {
                Ok(answer) => answer,
                Err(error) if matches!(error.status, Some(404 | 405 | 501)) => {
                    // A code tells of the repository; without one it is the route that is missing.
                    if error.code.is_none() {
                        self.learn_no_referrers();
                    }
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            let index = Manifest::new(answer.body, OCI_INDEX.to_owned());
            found.extend(index.parse()?.manifests);
            match next_page(&answer.headers) {
                NextPage::None => return Ok(Some(found)),
                NextPage::At(target) => url = self.own_address(&url, &target, operation)?,
                NextPage::Unreadable => break,
            }
        }
        Err(Error::new(Cause::Protocol, operation, "the list does not end"))
    }

    /// The index under the tag `sha256-<digits>`, which stands in for the referrers API. None: there is none.
    ///
    /// # Errors
    /// As [`Client::get_manifest`].
    pub async fn fallback_index(
        &self,
        name: &Name,
        digest: &Digest,
        deadline: Instant,
    ) -> Result<Option<Manifest>, Error> {
        self.get_manifest(name, &digest.fallback_tag().into(), deadline).await
    }
}
