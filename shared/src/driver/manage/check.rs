use serde::Serialize;
use tokio::time::Instant;

use crate::{
    migration::{RepositoryPath, foreign::keep},
    registry::{RegistryClient, StatusAnswer},
};

/// A repository that nobody has: asking for it shows whether the token is taken.
const NOBODYS: &str = "registry-migration/doctor";

/// One question to the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Whether it was answered as it should be.
    pub ok: bool,
    /// What came of it, in words.
    pub detail: String,
}

/// Whether the registry lets the driver do what it must: each permission of the tokens is tried once. Nothing changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegistryCheck {
    /// To import: the status of a repository that nobody has.
    pub import: Check,
    /// To list: the first page of the catalogue.
    pub catalogue: Check,
    /// To pull: the tags of the first repository of that page, or of the one that nobody has.
    pub tags: Check,
}

/// Asks the registry for one thing of each kind.
pub async fn check_registry(registry: &RegistryClient, deadline: Instant) -> RegistryCheck {
    let (import, (catalogue, tags)) =
        tokio::join!(check_import(registry, deadline), check_lists(registry, deadline));
    RegistryCheck { import, catalogue, tags }
}

async fn check_import(registry: &RegistryClient, deadline: Instant) -> Check {
    let Ok(path) = RepositoryPath::parse(NOBODYS) else { return failed("no such path") };
    match registry.status(&path, deadline).await {
        StatusAnswer::Known { .. } | StatusAnswer::NotFound => {
            passed("the registry tells how an import stands")
        }
        StatusAnswer::NoAnswer { reason } => failed(&reason),
    }
}

async fn check_lists(registry: &RegistryClient, deadline: Instant) -> (Check, Check) {
    let page = match registry.walk_catalogue(None) {
        Ok(mut walk) => walk.page(deadline).await,
        Err(incomplete) => Err(incomplete),
    };
    let (catalogue, first) = match page {
        Ok(page) => {
            let names = page.map(|page| page.names).unwrap_or_default();
            let first = names.iter().find_map(|name| RepositoryPath::exactly(name).ok());
            (passed(&format!("the registry lists {} repositories on its first page", names.len())), first)
        }
        Err(incomplete) => (failed(&incomplete.to_string()), None),
    };
    let Some(path) = first.or_else(|| RepositoryPath::parse(NOBODYS).ok()) else {
        return (catalogue, failed("no such path"));
    };
    let tags = match registry.list_tags(&path, deadline).await {
        Ok(Some(tags)) => passed(&format!("the registry lists {} tags of {path}", tags.len())),
        Ok(None) => passed("the registry answers to a list of tags"),
        Err(incomplete) => failed(&incomplete.to_string()),
    };
    (catalogue, tags)
}

fn passed(detail: &str) -> Check {
    Check { ok: true, detail: keep(detail) }
}

fn failed(detail: &str) -> Check {
    Check { ok: false, detail: keep(detail) }
}
