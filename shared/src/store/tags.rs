use serde::Deserialize;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Changed, Store};
use crate::{
    endpoint::{EndpointError, Guard, Manage, Purpose, Statement, Writer},
    migration::{AttemptId, ContainerRepository, MissingTags, RepositoryPath, TagsCheck},
};

const KEEP: &str = include_str!("sql/tags_keep.sql");
const COMPARE: &str = include_str!("sql/tags_compare.sql");
const SETTLE: &str = concat!(include_str!("sql/tags_settle.sql"), include_str!("sql/change_report.sql"));
const TAKE: &str = include_str!("sql/tags_take.sql");

/// What is kept of a list of tags until it has been compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptTags {
    /// How many.
    pub count: i64,
    /// A hash of their names.
    pub hash: String,
    /// The names, compressed, in base64. None: that is too large to be kept.
    pub names: Option<String>,
}

/// What a comparison came to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Compared {
    /// Nobody waits for it.
    Nothing,
    /// They are the same; that is recorded.
    Same,
    /// They are not the same.
    Differs {
        /// How many there were before.
        count: i64,
        /// Their names, as they were kept.
        names: Option<String>,
    },
}

impl<P: Purpose<Endpoint = Writer>> Store<P> {
    /// Keeps what the tags of a row are before the final step of its `attempt` is asked for; none where they could not
    /// be listed, which the row then says. May be repeated. None: the row has moved on.
    pub async fn keep_tags(
        &self,
        path: &RepositoryPath,
        attempt: AttemptId,
        tags: Option<&KeptTags>,
        deadline: Instant,
    ) -> Result<Option<ContainerRepository>, EndpointError> {
        let check = match tags {
            Some(KeptTags { names: Some(_), .. }) => TagsCheck::TagsListed,
            Some(KeptTags { names: None, .. }) => TagsCheck::TagsCounted,
            None => TagsCheck::TagsUnverified,
        };
        let statement = Statement::repeatable_write("keep_tags", KEEP)
            .bind("path", path)
            .bind("attempt", attempt)
            .bind("check", check.name())
            .bind("count", tags.map(|tags| tags.count))
            .bind("hash", tags.map(|tags| tags.hash.as_str()))
            .bind("names", tags.and_then(|tags| tags.names.as_deref()));
        Ok(self.endpoint.fetch(statement, deadline).await?.pop())
    }

    /// Compares the tags of a finished row with what was kept, by their number and hash. May be repeated: then nobody
    /// waits for it any more.
    pub async fn compare_tags(
        &self,
        path: &RepositoryPath,
        tags: &KeptTags,
        deadline: Instant,
    ) -> Result<Compared, EndpointError> {
        let statement = Statement::repeatable_write("compare_tags", COMPARE)
            .bind("path", path)
            .bind("count", tags.count)
            .bind("hash", tags.hash.as_str());
        Ok(self.endpoint.fetch(statement, deadline).await?.pop().unwrap_or(Compared::Nothing))
    }

    /// Records what a comparison came to, where the row still waits for it. May be repeated with the same `change`.
    pub async fn settle_tags(
        &self,
        path: &RepositoryPath,
        missing: Option<&MissingTags>,
        check: TagsCheck,
        change: Uuid,
        deadline: Instant,
    ) -> Result<Option<Changed>, EndpointError> {
        let detail = missing.map(MissingTags::words);
        let missing = missing.map(|missing| serde_json::to_value(missing).unwrap_or_default());
        let statement = Statement::repeatable_write("settle_tags", SETTLE)
            .bind("path", path)
            .bind("from", "tags_listed,tags_counted")
            .bind("check", check.name())
            .bind("missing", missing.as_ref())
            .bind("logged", check != TagsCheck::TagsComplete)
            .bind("cause", "comparison")
            .bind("change", change)
            .bind("detail", detail)
            .bind("operator", self.operator());
        Ok(self.endpoint.fetch(statement, deadline).await?.pop())
    }
}

impl Store<Guard> {
    /// Takes finished rows whose tags are still to be compared, at most `limit`: no other guard takes them before a
    /// minute has passed. It may be the first that a round sends to the writer, over a connection that has gone silent,
    /// so it is given up soon and sent again. What a sending took whose answer was lost comes again after that minute.
    pub async fn take_uncompared(
        &self,
        limit: u32,
        deadline: Instant,
    ) -> Result<Vec<ContainerRepository>, EndpointError> {
        let statement = Statement::repeatable_write("take_uncompared", TAKE).brief().bind("limit", limit);
        self.endpoint.fetch(statement, deadline).await
    }
}

impl Store<Manage> {
    /// Records that an operator accepts that tags are missing, or were not compared, and why. May be repeated with the
    /// same `change`. None: no such repository.
    pub async fn accept_tags(
        &self,
        path: &RepositoryPath,
        reason: &str,
        change: Uuid,
        deadline: Instant,
    ) -> Result<Option<Changed>, EndpointError> {
        let statement = Statement::repeatable_write("accept_tags", SETTLE)
            .bind("path", path)
            .bind("from", "tags_missing,tags_unverified")
            .bind("check", TagsCheck::TagsAccepted.name())
            .bind("missing", None::<&serde_json::Value>)
            .bind("logged", true)
            .bind("cause", "operator")
            .bind("change", change)
            .bind("detail", reason)
            .bind("operator", self.operator());
        Ok(self.endpoint.fetch(statement, deadline).await?.pop())
    }
}
