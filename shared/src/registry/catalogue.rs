//! What the registry has: its catalogue and the tags of a repository, by the distribution specification.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::{
    client::RegistryClient,
    list::{Incomplete, List, ListWalk, Refusal},
    token::Scope,
};
use crate::migration::RepositoryPath;

/// How many repositories are asked for at once.
const REPOSITORIES: u32 = 100;

/// How many tags are asked for at once.
const TAGS: u32 = 1000;

impl RegistryClient {
    /// Walks through the repositories that the registry lists, from `after`: a name, or what [`ListWalk::position`] or
    /// a page's address said; without, from the first.
    ///
    /// # Errors
    /// [`Incomplete::ForeignLink`] for an address that is not the registry's.
    pub fn walk_catalogue(&self, after: Option<&str>) -> Result<ListWalk<'_>, Incomplete> {
        let list = List {
            operation: "catalogue",
            member: "repositories",
            url: self.at(["v2", "_catalog"]),
            scope: Scope::Catalogue,
            count: REPOSITORIES,
        };
        ListWalk::begin(self, list, after)
    }

    /// The names of a repository's tags, all of them. None: the registry does not know the repository.
    ///
    /// # Errors
    /// [`Incomplete`] where not all of them are known.
    pub async fn list_tags(
        &self,
        path: &RepositoryPath,
        deadline: Instant,
    ) -> Result<Option<BTreeSet<String>>, Incomplete> {
        let list = List {
            operation: "tags",
            member: "tags",
            url: self.at(["v2"].into_iter().chain(path.as_str().split('/')).chain(["tags", "list"])),
            scope: Scope::Pull(path.clone()),
            count: TAGS,
        };
        let mut walk = ListWalk::begin(self, list, None)?;
        let mut tags = BTreeSet::new();
        loop {
            match walk.page(deadline).await {
                Ok(Some(page)) => tags.extend(page.names),
                Ok(None) => return Ok(Some(tags)),
                Err(Incomplete::Refused(Refusal { status: 404, code: Some(code), .. }))
                    if code == "NAME_UNKNOWN" && tags.is_empty() =>
                {
                    return Ok(None);
                }
                Err(incomplete) => return Err(incomplete),
            }
        }
    }
}
