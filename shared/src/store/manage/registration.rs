use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    endpoint::{EndpointError, Manage, Statement},
    migration::{ContainerRepository, RepositoryPath},
    store::Store,
};

const REGISTER: &str = include_str!("sql/register.sql");
const UNREGISTERED: &str = include_str!("sql/unregistered.sql");
const REMOVE: &str = include_str!("sql/remove.sql");

/// One container repository that the driver is to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Registration {
    /// Which.
    pub path: RepositoryPath,
    /// How many tags it has, where known.
    pub tags_count: Option<i32>,
    /// Its namespace's plan, where known.
    pub plan: Option<String>,
    /// The higher, the earlier.
    pub priority: i32,
}

/// What a removal came to.
#[derive(Clone, Debug, Deserialize)]
pub struct Removed {
    /// Whether it was removed. Otherwise it is in progress.
    pub removed: bool,
    /// The row as it was. Where it was removed its version counts that too.
    pub row: ContainerRepository,
}

impl Store<Manage> {
    /// Registers those that are not there yet, and leaves the others as they are. The number of new ones.
    ///
    /// May be repeated with the same `registration` after an unknown outcome: what an earlier sending registered
    /// counts as new.
    pub async fn register(
        &self,
        repositories: &[Registration],
        registration: Uuid,
        deadline: Instant,
    ) -> Result<u32, EndpointError> {
        let repositories = serde_json::to_value(repositories).unwrap_or_default();
        let statement = Statement::repeatable_write("register", REGISTER)
            .bind("repositories", &repositories)
            .bind("registration", registration);
        Ok(self.endpoint.fetch::<u32, _>(statement, deadline).await?.pop().unwrap_or_default())
    }

    /// Those of `paths` that are not registered.
    pub async fn unregistered(
        &self,
        paths: &[RepositoryPath],
        deadline: Instant,
    ) -> Result<Vec<RepositoryPath>, EndpointError> {
        let paths = serde_json::to_value(paths).unwrap_or_default();
        let statement = Statement::read("unregistered", UNREGISTERED).bind("paths", &paths);
        self.endpoint.fetch(statement, deadline).await
    }

    /// Removes a repository with its history, unless it is in progress. None: no such repository.
    pub async fn remove(
        &self,
        path: &RepositoryPath,
        deadline: Instant,
    ) -> Result<Option<Removed>, EndpointError> {
        let statement = Statement::write_once("remove", REMOVE).bind("path", path);
        Ok(self.endpoint.fetch(statement, deadline).await?.pop())
    }
}
