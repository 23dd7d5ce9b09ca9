use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Holder, protocol::one};
use crate::{
    endpoint::{CopyRepository, EndpointError, ErrorClass, Execution, Failure, Statement, Writer},
    store::Store,
};

const TAGS: &str = include_str!("sql/tags.sql");
const KEEP_TAGS: &str = include_str!("sql/keep_tags.sql");
const PROOF: &str = include_str!("sql/proof.sql");

/// How many are kept in one statement, and read.
const BATCH: usize = 500;

/// What became of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TagState {
    /// The target was read to have what the source had.
    Equal,
    /// A list of referrers: the target was read to have all that the source had, and more.
    Merged,
    /// It could not be copied.
    Failed,
    /// The source has it no more.
    Deleted,
}

/// What is kept of one tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagRecord {
    /// Its name.
    pub tag: String,
    /// What the source had.
    pub source_digest: Option<String>,
    /// What the target was read to have.
    pub target_digest: Option<String>,
    /// What became of it.
    pub state: TagState,
    /// Whether the importer wrote it. Once it did, it stays so.
    #[serde(default)]
    pub wrote: bool,
    /// Why it failed, in a word.
    pub cause: Option<String>,
    /// And what was said.
    pub error: Option<String>,
}

/// One line of the proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofRow {
    /// The repository at the source.
    pub source: String,
    /// The repository at the target.
    pub target: String,
    /// The tag.
    pub tag: String,
    /// What the source had.
    pub source_digest: Option<String>,
    /// What the target was read to have.
    pub target_digest: Option<String>,
    /// What became of it.
    pub state: TagState,
    /// Why it failed, in a word.
    pub cause: Option<String>,
    /// And what was said.
    pub error: Option<String>,
    /// When it was found to be so, by the database's clock.
    pub checked_at: String,
    /// By which attempt.
    pub attempt: String,
}

#[derive(Deserialize)]
struct Kept {
    kept: usize,
}

impl Store<CopyRepository> {
    /// What is kept of the tags of a repository.
    pub async fn copied_tags(
        &self,
        source: &str,
        deadline: Instant,
    ) -> Result<Vec<TagRecord>, EndpointError> {
        let mut tags: Vec<TagRecord> = Vec::new();
        loop {
            let after = tags.last().map_or(String::new(), |last| last.tag.clone());
            let statement = Statement::read("copied_tags", TAGS).bind("source", source).bind("after", after);
            let page: Vec<TagRecord> = self.endpoint.fetch(statement, deadline).await?;
            let whole = page.len() == BATCH;
            tags.extend(page);
            if !whole {
                return Ok(tags);
            }
        }
    }

    /// Keeps what became of some tags. Each is named once.
    ///
    /// # Errors
    /// Also where the lease is not the holder's any more: nothing more is kept then.
    pub async fn keep_copied_tags(
        &self,
        holder: &Holder,
        tags: &[TagRecord],
        deadline: Instant,
    ) -> Result<(), EndpointError> {
        for tags in tags.chunks(BATCH) {
            let statement = Statement::repeatable_write("keep_copied_tags", KEEP_TAGS)
                .bind("source", &holder.source)
                .bind("attempt", holder.attempt)
                .bind("worker", holder.worker)
                .bind("tags", &serde_json::to_value(tags).unwrap_or_default());
            let kept: Kept = one(self.endpoint.fetch(statement, deadline).await?, "keep_copied_tags")?;
            if kept.kept != tags.len() {
                let failure = Failure::new(Execution::RanAndFailed, ErrorClass::Conflict)
                    .with_detail("the lease is another's".to_owned());
                return Err(EndpointError {
                    endpoint: Writer::NAME,
                    statement: "keep_copied_tags",
                    attempts: 1,
                    failure,
                });
            }
        }
        Ok(())
    }

    /// The proof after a repository's tag, at most 500 lines in the order of both. It begins after `("", "")`.
    pub async fn proof(
        &self,
        source: &str,
        tag: &str,
        deadline: Instant,
    ) -> Result<Vec<ProofRow>, EndpointError> {
        let statement = Statement::read("proof", PROOF).bind("source", source).bind("tag", tag);
        self.endpoint.fetch(statement, deadline).await
    }
}
