//! What the registry has: its catalogue and the tags of a repository, by the distribution specification.

use reqwest::Method;
use serde::Deserialize;
use tokio::time::Instant;

use super::{
    client::RegistryClient,
    exchange::{Exchange, Request},
    interpret::{described, knows_nothing},
    token::Scope,
};
use crate::migration::RepositoryPath;

/// How many tags are asked for at once.
const TAGS: &str = "1000";

/// A page of the registry's catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CatalogueAnswer {
    /// 200: these repositories.
    Page {
        /// Their names, in the registry's order.
        names: Vec<String>,
        /// Whether more follow after the last one.
        more: bool,
    },
    /// It did not say.
    NoAnswer {
        /// Why, for logs.
        reason: String,
    },
}

/// How many tags a repository has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagsAnswer {
    /// So many.
    Counted(i32),
    /// 404: the registry has no such repository, or none with tags.
    NotFound,
    /// It did not say.
    NoAnswer {
        /// Why, for logs.
        reason: String,
    },
}

/// `{"repositories":["…"]}`
#[derive(Deserialize)]
struct Catalogue {
    /// Some registries say null where there is none.
    #[serde(deserialize_with = "Option::deserialize")]
    repositories: Option<Vec<String>>,
}

/// `{"name":"…","tags":["…"]}`
#[derive(Deserialize)]
struct Tags {
    /// Some registries say null where there is none.
    #[serde(deserialize_with = "Option::deserialize")]
    tags: Option<Vec<String>>,
}

impl RegistryClient {
    /// Lists at most `count` repositories whose names come after `after`.
    pub async fn catalogue(&self, after: Option<&str>, count: u32, deadline: Instant) -> CatalogueAnswer {
        let mut url = self.at(["v2", "_catalog"]);
        url.query_pairs_mut().append_pair("n", &count.to_string());
        if let Some(after) = after {
            url.query_pairs_mut().append_pair("last", after);
        }
        let request = Request {
            operation: "catalogue",
            method: Method::GET,
            url,
            attempt: None,
            scope: Scope::Catalogue,
        };
        match self.call(&request, deadline).await {
            Exchange::Answered { status: 200, body, more } => {
                match serde_json::from_slice::<Catalogue>(&body) {
                    Ok(Catalogue { repositories }) => {
                        let names = repositories.unwrap_or_default();
                        // A page that does not come after the last one would be followed by itself for ever.
                        let onwards =
                            names.last().is_some_and(|last| after.is_none_or(|after| last.as_str() != after));
                        CatalogueAnswer::Page { more: more && onwards, names }
                    }
                    Err(_) => CatalogueAnswer::NoAnswer { reason: "the catalogue is not JSON".to_owned() },
                }
            }
            Exchange::Answered { status, body, .. } => {
                CatalogueAnswer::NoAnswer { reason: described(status, &body) }
            }
            Exchange::NotSent { reason } | Exchange::Unknown { reason } => {
                CatalogueAnswer::NoAnswer { reason }
            }
        }
    }

    /// Counts the tags of a repository, page by page where the registry has pages.
    pub async fn count_tags(&self, path: &RepositoryPath, deadline: Instant) -> TagsAnswer {
        let mut count = 0_usize;
        let mut last: Option<String> = None;
        loop {
            let mut url = self.at(["v2"].into_iter().chain(path.as_str().split('/')).chain(["tags", "list"]));
            url.query_pairs_mut().append_pair("n", TAGS);
            if let Some(last) = &last {
                url.query_pairs_mut().append_pair("last", last);
            }
            let scope = Scope::Pull(path.clone());
            let request = Request { operation: "tags", method: Method::GET, url, attempt: None, scope };
            let (body, more) = match self.call(&request, deadline).await {
                Exchange::Answered { status: 200, body, more } => (body, more),
                Exchange::Answered { status: 404, body, .. } if knows_nothing(&body) => {
                    return TagsAnswer::NotFound;
                }
                Exchange::Answered { status, body, .. } => {
                    return TagsAnswer::NoAnswer { reason: described(status, &body) };
                }
                Exchange::NotSent { reason } | Exchange::Unknown { reason } => {
                    return TagsAnswer::NoAnswer { reason };
                }
            };
            let Ok(Tags { tags }) = serde_json::from_slice(&body) else {
                return TagsAnswer::NoAnswer { reason: "the tags are not JSON, or too many".to_owned() };
            };
            let tags = tags.unwrap_or_default();
            // Whoever answers a page's question with the same page again would do so for ever.
            if last.is_some() && tags.last() == last.as_ref() {
                return TagsAnswer::NoAnswer { reason: "the pages of tags begin again".to_owned() };
            }
            count += tags.len();
            let end = tags.into_iter().next_back();
            if !more || end.is_none() {
                return TagsAnswer::Counted(i32::try_from(count).unwrap_or(i32::MAX));
            }
            last = end;
        }
    }
}
