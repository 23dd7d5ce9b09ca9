use std::time::Duration;

use futures::{StreamExt, stream};
use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    endpoint::{EndpointError, Manage},
    migration::RepositoryPath,
    registry::{CatalogueAnswer, RegistryClient, TagsAnswer},
    store::{Registration, Store},
};

/// How many names are asked for at once.
const PAGE: u32 = 100;

/// How many repositories are counted and registered together.
const TOGETHER: usize = 25;

/// How many are counted at the same time.
const AT_ONCE: usize = 8;

/// No more are begun when less than this is left.
const TO_FINISH: Duration = Duration::from_secs(3);

/// How far through the registry's catalogue a call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CatalogueEnd {
    /// To its end.
    Complete,
    /// As far as the time allowed.
    OutOfTime,
    /// Until the registry did not answer.
    RegistryUnavailable,
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
    /// Names that the driver cannot know a repository by.
    pub refused: Vec<String>,
    /// Why it ended.
    pub ended: CatalogueEnd,
    /// The last name that was dealt with, to go on after; none at the catalogue's end.
    pub next: Option<String>,
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
        refused: Vec::new(),
        ended: CatalogueEnd::Complete,
        next: after,
    };
    loop {
        if out_of_time(deadline) {
            return Ok(CatalogueRegistered { ended: CatalogueEnd::OutOfTime, ..sum });
        }
        let (names, more) = match registry.catalogue(sum.next.as_deref(), PAGE, deadline).await {
            CatalogueAnswer::Page { names, more } => (names, more),
            CatalogueAnswer::NoAnswer { reason } => {
                tracing::warn!(reason, "the registry did not list its repositories");
                return Ok(CatalogueRegistered { ended: CatalogueEnd::RegistryUnavailable, ..sum });
            }
        };
        for together in names.chunks(TOGETHER) {
            if out_of_time(deadline) {
                return Ok(CatalogueRegistered { ended: CatalogueEnd::OutOfTime, ..sum });
            }
            register_names(store, registry, together, &mut sum, deadline).await?;
        }
        if !more {
            return Ok(CatalogueRegistered { next: None, ..sum });
        }
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
        match RepositoryPath::parse(name) {
            Ok(path) => paths.push(path),
            Err(_) => sum.refused.push(name.chars().take(255).collect()),
        }
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
    sum.next = names.last().cloned().or(sum.next.take());
    Ok(())
}

async fn counted(registry: &RegistryClient, path: &RepositoryPath, deadline: Instant) -> Option<i32> {
    match registry.count_tags(path, deadline).await {
        TagsAnswer::Counted(count) => Some(count),
        TagsAnswer::NotFound => None,
        TagsAnswer::NoAnswer { reason } => {
            tracing::warn!(%path, reason, "the registry did not list a repository's tags");
            None
        }
    }
}
