//! How a foreign list is walked, and when it may be called complete.
//!
//! A registry's lists come in pages, and registries differ: in how they spell the link to the next page, in what that
//! link holds, in their order, and in whether they know pages at all. So the link is followed as it is, on the
//! registry's own address only. Order proves nothing. A walk is complete where a page names no next one. It also ends
//! where a link or all names of a page came before, and where an answer is no list; then it says so.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use answer_headers::{NextPage, next_page, retry_after};
use reqwest::Method;
use tokio::time::Instant;
use url::Url;

use super::{
    client::RegistryClient,
    exchange::{Exchange, Request},
    interpret::{described, error_code},
    names::{Names, read_names},
    token::Scope,
};

/// Why a list is not known to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Incomplete {
    /// A link, or all names of a page, came before in this walk.
    #[error("the pages of the list begin again")]
    BeginsAgain,
    /// The next page is said to be at another origin, where our token must not go.
    #[error("the list's next page is not at the registry's own address")]
    ForeignLink,
    /// A `Link` header that RFC 8288 does not allow.
    #[error("the list's Link header cannot be read")]
    UnreadableLink,
    /// A 200 that is no JSON object with the list in it.
    #[error("the answer is not a list")]
    NotAList,
    /// One page is larger than what is read.
    #[error("the list has no pages and is too large to be read at once")]
    TooLarge,
    /// The registry refused to list.
    #[error("the registry answered {}", .0.status)]
    Refused(Refusal),
    /// The registry did not answer, or answered that it cannot now.
    #[error("{reason}")]
    NoAnswer {
        /// Why, for logs.
        reason: String,
        /// When it wants to be asked again, where it said so.
        retry_after: Option<Duration>,
    },
}

/// What the registry said when it refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The first error's code, where the body has one.
    pub code: Option<String>,
    /// When it may be asked again, where it said so.
    pub retry_after: Option<Duration>,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPage {
    /// The names that did not come before in this walk, in the registry's order.
    pub names: Vec<String>,
    /// How many entries are no names: numbers, objects and the like.
    pub no_names: u32,
    /// The first of them, as JSON, cut.
    pub first_no_names: Vec<String>,
    /// This page's address, where a name does not say how to come back to it: the registry has cursors of its own.
    pub address: Option<String>,
}

/// Which list is walked.
pub(super) struct List {
    /// Its name in logs.
    pub operation: &'static str,
    /// The member of the answer that holds it.
    pub member: &'static str,
    /// Where it is, without a query.
    pub url: Url,
    /// What the token must allow.
    pub scope: Scope,
    /// How many names are asked for at once.
    pub count: u32,
}

/// A walk through one list, page by page.
pub struct ListWalk<'a> {
    client: &'a RegistryClient,
    list: List,
    /// Where the next page is. None: there is none.
    next: Option<Place>,
    /// Names up to this one have been dealt with by an earlier walk.
    after: Option<String>,
    links: HashSet<Url>,
    names: Seen,
    /// How many pages have been read.
    pages: usize,
    /// Why the walk ends, found together with its last page.
    ends: Option<Incomplete>,
}

/// Where a page is.
#[derive(Clone)]
struct Place {
    url: Url,
    /// Whether the registry named it, now or in an earlier walk.
    linked: bool,
}

impl<'a> ListWalk<'a> {
    /// Begins after `after`, which is a name or a page's address as an earlier walk said it; without, at the list's
    /// beginning.
    ///
    /// # Errors
    /// [`Incomplete::ForeignLink`] for an address that is not the registry's.
    pub(super) fn begin(
        client: &'a RegistryClient,
        list: List,
        after: Option<&str>,
    ) -> Result<Self, Incomplete> {
        let (first, after) = match after {
            Some(address) if address.starts_with('/') => {
                (Place { url: same_origin(&list.url, address)?, linked: true }, None)
            }
            name => {
                let mut url = list.url.clone();
                url.query_pairs_mut().append_pair("n", &list.count.to_string());
                if let Some(name) = name {
                    url.query_pairs_mut().append_pair("last", name);
                }
                (Place { url, linked: false }, name.map(str::to_owned))
            }
        };
        let links = HashSet::from([first.url.clone()]);
        let names = Seen::default();
        Ok(Self { client, list, next: Some(first), after, links, names, pages: 0, ends: None })
    }

    /// The next page. None: the list is complete.
    ///
    /// # Errors
    /// [`Incomplete`] where the walk ends and the list does not. A page that was not answered may be asked for again.
    pub async fn page(&mut self, deadline: Instant) -> Result<Option<ListPage>, Incomplete> {
        if let Some(why) = self.ends.take() {
            return Err(why);
        }
        let Some(Place { url, linked }) = self.next.clone() else { return Ok(None) };
        let (url, answer) = self.ask(url, deadline).await?;
        self.next = None;
        let Names { names, no_names, first_no_names } =
            read_names(&answer.body, self.list.member).ok_or(Incomplete::NotAList)?;
        let names = self.only_new(names)?;
        self.pages += 1;
        match next_page(&answer.headers) {
            NextPage::None => {}
            NextPage::Unreadable => self.ends = Some(Incomplete::UnreadableLink),
            NextPage::At(target) => match same_origin(&url, &target) {
                Err(why) => self.ends = Some(why),
                Ok(next) if self.links.insert(next.clone()) => {
                    self.next = Some(Place { url: next, linked: true });
                }
                Ok(_) => self.ends = Some(Incomplete::BeginsAgain),
            },
        }
        let address = if linked { cursor(&url) } else { None };
        Ok(Some(ListPage { names, no_names, first_no_names, address }))
    }

    /// From where a later walk goes on: the address of the page that comes next, or `last`, the
    /// last name that this one came to, where that does.
    #[must_use]
    pub fn position(&self, last: Option<&str>) -> Option<String> {
        let linked = self.next.as_ref().filter(|place| place.linked);
        linked.and_then(|place| cursor(&place.url)).or_else(|| last.map(str::to_owned))
    }

    /// A registry may refuse the number of names that it is asked for: once more without.
    async fn ask(&mut self, url: Url, deadline: Instant) -> Result<(Url, Answer), Incomplete> {
        match self.exchange(&url, deadline).await {
            Err(Incomplete::Refused(Refusal { status: 400, code: Some(code), .. }))
                if code == "PAGINATION_NUMBER_INVALID" && has_parameter(&url, "n") =>
            {
                let url = without_parameter(&url, "n");
                let answer = self.exchange(&url, deadline).await?;
                self.links.insert(url.clone());
                Ok((url, answer))
            }
            answer => answer.map(|answer| (url, answer)),
        }
    }

    async fn exchange(&self, url: &Url, deadline: Instant) -> Result<Answer, Incomplete> {
        let request = Request {
            operation: self.list.operation,
            method: Method::GET,
            url: url.clone(),
            attempt: None,
            scope: self.list.scope.clone(),
        };
        match self.client.call(&request, deadline).await {
            Exchange::Answered { status: 200, whole: false, .. } => Err(Incomplete::TooLarge),
            Exchange::Answered { status: 200, body, headers, .. } => Ok(Answer { body, headers }),
            Exchange::Answered { status, body, headers, .. } => {
                let retry_after = retry_after(&headers, jiff::Timestamp::now());
                Err(if (300..500).contains(&status) {
                    Incomplete::Refused(Refusal { status, code: error_code(&body), retry_after })
                } else {
                    Incomplete::NoAnswer { reason: described(status, &body), retry_after }
                })
            }
            Exchange::NotSent { reason } | Exchange::Unknown { reason } => {
                Err(Incomplete::NoAnswer { reason, retry_after: None })
            }
        }
    }

    /// The names of a page that did not come before, and in the first page not up to the one that an earlier walk
    /// came to: a registry that ignores where to begin lists those again.
    fn only_new(&mut self, names: Vec<String>) -> Result<Vec<String>, Incomplete> {
        let passed_over = match &self.after {
            Some(after) if self.pages == 0 => {
                names.iter().position(|name| name == after).map_or(0, |place| place + 1)
            }
            _ => 0,
        };
        let is_empty = names.is_empty();
        let mut new = Vec::new();
        for (place, name) in names.into_iter().enumerate() {
            if self.names.insert(&name) && place >= passed_over {
                new.push(name);
            }
        }
        if self.pages > 0 && !is_empty && new.is_empty() { Err(Incomplete::BeginsAgain) } else { Ok(new) }
    }
}

struct Answer {
    body: Vec<u8>,
    headers: reqwest::header::HeaderMap,
}

/// The names that have come, by two hashes each: a list may have a million.
#[derive(Default)]
struct Seen {
    by: (RandomState, RandomState),
    hashes: HashSet<(u64, u64)>,
}

impl Seen {
    /// Whether `name` is new.
    fn insert(&mut self, name: &str) -> bool {
        self.hashes.insert((self.by.0.hash_one(name), self.by.1.hash_one(name)))
    }
}

/// `target` as seen from `url`, where that is the same registry.
pub(super) fn same_origin(url: &Url, target: &str) -> Result<Url, Incomplete> {
    let mut target = url.join(target).map_err(|_| Incomplete::UnreadableLink)?;
    let plain = target.username().is_empty() && target.password().is_none();
    if target.origin() != url.origin() || !plain {
        return Err(Incomplete::ForeignLink);
    }
    target.set_fragment(None);
    Ok(target)
}

/// The address of a page, where no name says where it begins.
fn cursor(url: &Url) -> Option<String> {
    let address = || format!("{}?{}", url.path(), url.query().unwrap_or_default());
    (!has_parameter(url, "last")).then(address)
}

fn has_parameter(url: &Url, parameter: &str) -> bool {
    url.query_pairs().any(|(name, _)| name == parameter)
}

fn without_parameter(url: &Url, parameter: &str) -> Url {
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| name != parameter)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let mut url = url.clone();
    url.set_query(None);
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
    url
}
