//! Lists, page by page: the catalogue and a repository's tags.
//!
//! Nothing is assumed of their order, nor that a registry gives no more than it is asked for. The link to the next page is
//! followed as it is, on the registry's own address only.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
    hash::Hash,
    str::FromStr,
};

use answer_headers::{NextPage, next_page};
use http::Method;
use serde_json::value::RawValue;
use tokio::time::Instant;
use url::Url;

use crate::{
    Action, Client, Error, Name, Tag,
    auth::Scopes,
    error::{Cause, printable},
    exchange::{Request, Whole},
};

/// How many entries are asked for at once. Registries refuse more.
const COUNT: &str = "1000";

/// The largest page that is read: half a million tags, where a registry knows no pages.
const PAGE_LIMIT: usize = 32 << 20;

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// Its entries, in the registry's order.
    pub items: Vec<T>,
    /// What stands among them and cannot be an entry, cut.
    pub unreadable: Vec<String>,
    /// Where the list goes on. It may be kept, and given to another client of the same registry. None: it ends here.
    pub next: Option<String>,
}

/// Which list.
struct List {
    operation: &'static str,
    /// The member of the answer that holds it.
    member: &'static str,
    url: Url,
    scopes: Scopes,
}

impl Client {
    /// A page of the names of all repositories: the first one, or the one at `cursor`.
    ///
    /// # Errors
    /// [`Cause::Protocol`] for an answer that is no list, and where the next page is not the registry's own.
    pub async fn catalogue_page(&self, cursor: Option<&str>, deadline: Instant) -> Result<Page<Name>, Error> {
        self.page(&self.catalogue_list(), cursor, deadline).await
    }

    /// A page of a repository's tags: the first one, or the one at `cursor`.
    ///
    /// # Errors
    /// [`Cause::NotFound`] where the registry does not know the repository; [`Cause::Protocol`] for an answer that is no
    /// list, and where the next page is not the registry's own.
    pub async fn tags_page(
        &self,
        name: &Name,
        cursor: Option<&str>,
        deadline: Instant,
    ) -> Result<Page<Tag>, Error> {
        self.page(&self.tags_list(name), cursor, deadline).await
    }

    /// The names of all repositories.
    ///
    /// # Errors
    /// As [`Client::catalogue_page`], and [`Cause::Protocol`] where the list begins again.
    pub async fn catalogue(&self, deadline: Instant) -> Result<Page<Name>, Error> {
        self.walk(&self.catalogue_list(), deadline).await
    }

    /// All of a repository's tags.
    ///
    /// # Errors
    /// As [`Client::tags_page`], and [`Cause::Protocol`] where the list begins again.
    pub async fn tags(&self, name: &Name, deadline: Instant) -> Result<Page<Tag>, Error> {
        self.walk(&self.tags_list(name), deadline).await
    }

    fn catalogue_list(&self) -> List {
        List {
            operation: "list repositories",
            member: "repositories",
            url: self.at(["v2", "_catalog"]),
            scopes: Scopes::catalogue(),
        }
    }

    fn tags_list(&self, name: &Name) -> List {
        List {
            operation: "list tags",
            member: "tags",
            url: self.within(name, ["tags", "list"]),
            scopes: self.scopes(name),
        }
    }

    /// All pages as one.
    async fn walk<T>(&self, list: &List, deadline: Instant) -> Result<Page<T>, Error>
    where
        T: FromStr + Clone + Eq + Hash,
    {
        let mut whole = Page { items: Vec::new(), unreadable: Vec::new(), next: None };
        let (mut seen, mut cursors) = (HashSet::new(), HashSet::new());
        let mut cursor: Option<String> = None;
        loop {
            let page = self.page::<T>(list, cursor.as_deref(), deadline).await?;
            let before = seen.len();
            let had_items = !page.items.is_empty();
            whole.items.extend(page.items.into_iter().filter(|item| seen.insert(item.clone())));
            whole.unreadable.extend(page.unreadable);
            let Some(next) = page.next else { return Ok(whole) };
            if (had_items && seen.len() == before) || !cursors.insert(next.clone()) {
                return Err(Error::new(Cause::Protocol, list.operation, "the pages of the list begin again"));
            }
            cursor = Some(next);
        }
    }

    async fn page<T: FromStr>(
        &self,
        list: &List,
        cursor: Option<&str>,
        deadline: Instant,
    ) -> Result<Page<T>, Error> {
        let url = match cursor {
            Some(cursor) => self.own_address(&list.url, cursor, list.operation)?,
            None => {
                let mut url = list.url.clone();
                url.query_pairs_mut().append_pair("n", COUNT);
                url
            }
        };
        let (url, answer) = self.ask_for_page(list, url, deadline).await?;
        let not_a_list = || Error::new(Cause::Protocol, list.operation, "the answer is no list");
        let (items, unreadable) = read(&answer.body, list.member).ok_or_else(not_a_list)?;
        let next = match next_page(&answer.headers) {
            NextPage::None => None,
            NextPage::At(target) => {
                let next = self.own_address(&url, &target, list.operation)?;
                if next == url {
                    return Err(Error::new(Cause::Protocol, list.operation, "the page is its own next one"));
                }
                Some(cursor_of(&next))
            }
            NextPage::Unreadable => {
                return Err(Error::new(
                    Cause::Protocol,
                    list.operation,
                    "the list's Link header cannot be read",
                ));
            }
        };
        Ok(Page { items, unreadable, next })
    }

    /// A registry may refuse the number of entries that it is asked for: once more without.
    async fn ask_for_page(&self, list: &List, url: Url, deadline: Instant) -> Result<(Url, Whole), Error> {
        let ask =
            |url: Url| Request::new(Action::List, list.operation, Method::GET, url, list.scopes.clone());
        match self.whole(&ask(url.clone()), &[], PAGE_LIMIT, deadline).await {
            Err(error)
                if error.code.as_deref() == Some("PAGINATION_NUMBER_INVALID") && url.query().is_some() =>
            {
                let kept: Vec<(String, String)> = url
                    .query_pairs()
                    .filter(|(name, _)| name != "n")
                    .map(|(n, v)| (n.into(), v.into()))
                    .collect();
                let mut url = url;
                url.set_query(None);
                if !kept.is_empty() {
                    url.query_pairs_mut().extend_pairs(kept);
                }
                let answer = self.whole(&ask(url.clone()), &[], PAGE_LIMIT, deadline).await?;
                Ok((url, answer))
            }
            answer => answer.map(|answer| (url, answer)),
        }
    }
}

/// The address of a page below the registry's host, which says it all.
fn cursor_of(url: &Url) -> String {
    url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
}

/// Reads `{"<member>":[…]}`; null is an empty list. What is no entry is kept apart. None: it is something else.
pub(crate) fn read<T: FromStr>(body: &[u8], member: &str) -> Option<(Vec<T>, Vec<String>)> {
    let mut members: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(body).ok()?;
    let entries: Option<Vec<&RawValue>> = serde_json::from_str(members.remove(member)?.get()).ok()?;
    let entries = entries.unwrap_or_default();
    let (mut items, mut unreadable) = (Vec::with_capacity(entries.len()), Vec::new());
    for entry in entries {
        let text: Option<Cow<'_, str>> = serde_json::from_str(entry.get()).ok();
        match text.as_deref().map(str::parse) {
            Some(Ok(item)) => items.push(item),
            _ => unreadable.push(printable(entry.get())),
        }
    }
    Some((items, unreadable))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::read;
    use crate::{Name, Tag};

    #[test]
    fn reads_a_list_and_an_empty_one() {
        let (tags, unreadable) =
            read::<Tag>(br#"{"name":"a","tags":["v1","\u0076 2",3,"v3"]}"#, "tags").unwrap();
        assert_eq!(tags.iter().map(Tag::as_str).collect::<Vec<_>>(), ["v1", "v3"]);
        assert_eq!(unreadable, [r#""\u0076 2""#, "3"]);
        assert_eq!(read::<Tag>(br#"{"name":"a","tags":null}"#, "tags").unwrap().0, []);
        assert_eq!(read::<Name>(br#"{"repositories":[]}"#, "repositories").unwrap().0, []);
    }

    #[test]
    fn takes_nothing_else_for_a_list() {
        for body in [
            "",
            "{}",
            "[]",
            "null",
            r#"{"tags":{}}"#,
            r#"{"tags":"v1"}"#,
            r#"{"repositories":["a"]}"#,
            "<html>",
        ] {
            assert!(read::<Tag>(body.as_bytes(), "tags").is_none(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn survives_any_body(body: Vec<u8>) {
            let _ = read::<Tag>(&body, "tags");
        }
    }
}
