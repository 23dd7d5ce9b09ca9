use std::time::Duration;

use futures::{StreamExt, stream};
use serde::{Serialize, Serializer};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    endpoint::{EndpointError, Manage},
    migration::{RepositoryPath, foreign::keep},
    registry::{Incomplete, ListPage, Refusal, RegistryClient},
    store::{Registration, Store},
};

/// How many repositories are counted and registered together.
const TOGETHER: usize = 25;

/// How many are counted at the same time.
const AT_ONCE: usize = 8;

/// No more are begun when less than this is left.
const TO_FINISH: Duration = Duration::from_secs(3);

/// How many of the refused names are shown.
const REFUSED_SHOWN: usize = 100;

/// How far through the registry's catalogue a call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatalogueEnd {
    /// To its end.
    Complete,
    /// To its end, and nothing is listed at all.
    Empty,
    /// As far as the time allowed.
    OutOfTime,
    /// Until the registry did not answer.
    RegistryUnavailable,
    /// Until the registry refused.
    RegistryRefused,
    /// Until an answer was no list.
    NotAList,
    /// Until a page was too large to be read.
    TooLarge,
    /// Until a page, or the link to it, had come before.
    BeginsAgain,
    /// Until a link led away from the registry.
    ForeignLink,
    /// Until a link could not be read.
    UnreadableLink,
}

impl CatalogueEnd {
    /// Its name in answers and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Empty => "empty",
            Self::OutOfTime => "out_of_time",
            Self::RegistryUnavailable => "registry_unavailable",
            Self::RegistryRefused => "registry_refused",
            Self::NotAList => "not_a_list",
            Self::TooLarge => "too_large",
            Self::BeginsAgain => "begins_again",
            Self::ForeignLink => "foreign_link",
            Self::UnreadableLink => "unreadable_link",
        }
    }

    /// What an operator should know about it.
    const fn note(self) -> Option<&'static str> {
        match self {
            Self::Complete | Self::OutOfTime | Self::RegistryUnavailable | Self::RegistryRefused => None,
            Self::Empty => Some(
                "the registry lists no repository. In migration mode GitLab's registry lists only what is migrated \
                 already: register before that mode is switched on, or give the list to POST /repositories",
            ),
            Self::NotAList => Some(
                "an answer of the registry was not a list of repositories; something may stand in its place",
            ),
            Self::TooLarge => Some(
                "the registry has no pages and its list is larger than 8 MiB: give the list to POST /repositories",
            ),
            Self::BeginsAgain => Some("the registry's pages begin again, so others may be missing"),
            Self::ForeignLink => Some(
                "the registry says that its next page is at another address, which is not followed: others may be \
                 missing. Correct the address that the registry believes to have, or send the last name as after",
            ),
            Self::UnreadableLink => Some(
                "the registry's Link header cannot be read, so others may be missing. Send the last name as after",
            ),
        }
    }

    /// Whether another call may come further.
    const fn may_go_on(self) -> bool {
        match self {
            Self::OutOfTime | Self::RegistryUnavailable | Self::RegistryRefused | Self::NotAList => true,
            Self::Complete
            | Self::Empty
            | Self::TooLarge
            | Self::BeginsAgain
            | Self::ForeignLink
            | Self::UnreadableLink => false,
        }
    }
}

impl Serialize for CatalogueEnd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What registering from the catalogue came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CatalogueRegistered {
    /// How many are new.
    pub registered: u32,
    /// How many were there already; they are as they were.
    pub existing: u32,
    /// How many of the new ones have an unknown number of tags, because the registry did not tell.
    pub tags_unknown: u32,
    /// How many entries are not the name of a repository, in lower case.
    pub refused_count: u32,
    /// The first of them.
    pub refused: Vec<String>,
    /// Why it ended.
    pub ended: CatalogueEnd,
    /// What that means, where its name does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'static str>,
    /// The status with which the registry refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry_status: Option<u16>,
    /// The code with which it refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry_code: Option<String>,
    /// When it may be asked again, where it said so.
    #[serde(rename = "retry_after_seconds", skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// What to send as `after` to go on. None: nothing comes after, or nothing that going on would reach.
    pub next: Option<String>,
    /// The last name that was dealt with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
}

/// Registers what the registry's catalogue lists after `after`, with the tags counted, until its end or until
/// the time is up. Called again with what it says, it goes on; called again with the same, it changes nothing.
///
/// # Errors
/// [`EndpointError`] when the writer did not answer.
pub async fn register_catalogue(
    store: &Store<Manage>,
    registry: &RegistryClient,
    after: Option<String>,
    deadline: Instant,
) -> Result<CatalogueRegistered, EndpointError> {
    let mut sum = CatalogueRegistered {
        registered: 0,
        existing: 0,
        tags_unknown: 0,
        refused_count: 0,
        refused: Vec::new(),
        ended: CatalogueEnd::Complete,
        note: None,
        registry_status: None,
        registry_code: None,
        retry_after: None,
        next: after.clone(),
        last: None,
    };
    let mut walk = match registry.walk_catalogue(after.as_deref()) {
        Ok(walk) => walk,
        Err(incomplete) => return Ok(sum.cut_short(incomplete)),
    };
    loop {
        if out_of_time(deadline) {
            return Ok(sum.end(CatalogueEnd::OutOfTime));
        }
        let page = match walk.page(deadline).await {
            Ok(Some(page)) => page,
            Ok(None) if after.is_none() && sum.is_nothing() => return Ok(sum.end(CatalogueEnd::Empty)),
            Ok(None) => return Ok(sum.end(CatalogueEnd::Complete)),
            Err(incomplete) => return Ok(sum.cut_short(incomplete)),
        };
        let ListPage { names, no_names, first_no_names, address } = page;
        sum.refuse(no_names, first_no_names);
        for together in names.chunks(TOGETHER) {
            if out_of_time(deadline) {
                return Ok(sum.end(CatalogueEnd::OutOfTime));
            }
            register_names(store, registry, together, &mut sum, deadline).await?;
            sum.last = together.last().cloned().or(sum.last);
            sum.next = address.clone().or_else(|| sum.last.clone());
        }
        sum.next = walk.position(sum.last.as_deref().or(after.as_deref()));
    }
}

impl CatalogueRegistered {
    fn end(self, ended: CatalogueEnd) -> Self {
        let next = self.next.filter(|_| ended.may_go_on());
        Self { ended, note: ended.note(), next, ..self }
    }

    fn cut_short(mut self, incomplete: Incomplete) -> Self {
        tracing::warn!(reason = %incomplete, "the registry did not list all of its repositories");
        let seconds = |wait: Option<Duration>| wait.map(|wait| wait.as_secs());
        let ended = match incomplete {
            Incomplete::BeginsAgain => CatalogueEnd::BeginsAgain,
            Incomplete::ForeignLink => CatalogueEnd::ForeignLink,
            Incomplete::UnreadableLink => CatalogueEnd::UnreadableLink,
            Incomplete::NotAList => CatalogueEnd::NotAList,
            Incomplete::TooLarge => CatalogueEnd::TooLarge,
            Incomplete::Refused(Refusal { status, code, retry_after }) => {
                self.registry_status = Some(status);
                self.registry_code = code;
                self.retry_after = seconds(retry_after);
                CatalogueEnd::RegistryRefused
            }
            Incomplete::NoAnswer { retry_after, .. } => {
                self.retry_after = seconds(retry_after);
                CatalogueEnd::RegistryUnavailable
            }
        };
        self.end(ended)
    }

    /// Whether nothing was found so far.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.registered == 0 && self.existing == 0 && self.refused_count == 0
    }

    fn refuse(&mut self, count: u32, names: impl IntoIterator<Item = String>) {
        self.refused_count = self.refused_count.saturating_add(count);
        let room = REFUSED_SHOWN.saturating_sub(self.refused.len());
        self.refused.extend(names.into_iter().take(room).map(|name| keep(&name)));
    }
}

fn out_of_time(deadline: Instant) -> bool {
    deadline.saturating_duration_since(Instant::now()) < TO_FINISH
}

async fn register_names(
    store: &Store<Manage>,
    registry: &RegistryClient,
    names: &[String],
    sum: &mut CatalogueRegistered,
    deadline: Instant,
) -> Result<(), EndpointError> {
    let mut paths = Vec::with_capacity(names.len());
    for name in names {
        match RepositoryPath::exactly(name) {
            Ok(path) => paths.push(path),
            Err(_) => sum.refuse(1, [name.clone()]),
        }
    }
    if paths.is_empty() {
        return Ok(());
    }
    let unknown = store.unregistered(&paths, deadline).await?;
    let new: Vec<Registration> = stream::iter(unknown)
        .map(|path| async move {
            let tags_count = counted(registry, &path, deadline).await;
            Registration { path, tags_count, plan: None, priority: 0 }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let registered = if new.is_empty() { 0 } else { store.register(&new, Uuid::new_v4(), deadline).await? };
    sum.registered += registered;
    sum.existing += u32::try_from(paths.len()).unwrap_or(u32::MAX).saturating_sub(registered);
    let unknown_tags = new.iter().filter(|one| one.tags_count.is_none()).count();
    sum.tags_unknown += u32::try_from(unknown_tags).unwrap_or(u32::MAX);
    Ok(())
}

async fn counted(registry: &RegistryClient, path: &RepositoryPath, deadline: Instant) -> Option<i32> {
    match registry.list_tags(path, deadline).await {
        Ok(tags) => tags.map(|tags| i32::try_from(tags.len()).unwrap_or(i32::MAX)),
        Err(incomplete) => {
            tracing::warn!(%path, reason = %incomplete, "the registry did not list a repository's tags");
            None
        }
    }
}

#[cfg(test)]
mod tests;
