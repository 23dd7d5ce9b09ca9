use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    endpoint::{CopyRepository, EndpointError, Statement},
    store::Store,
};

const CLAIM_BLOBS: &str = include_str!("sql/claim_blobs.sql");
const NOTE_BLOBS: &str = include_str!("sql/note_blobs.sql");

/// How many are asked for in one statement.
const BATCH: usize = 500;

/// Who copies a blob.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum BlobClaim {
    /// Nobody: the repository is known to have it.
    Here,
    /// Nobody: another repository of the target has it.
    Mount {
        /// Which.
        from: String,
    },
    /// Whoever works on another repository, just now.
    Elsewhere,
    /// Whoever asked.
    Mine,
}

/// For whom blobs are claimed.
#[derive(Clone, Copy, Debug)]
pub struct Claimant<'a> {
    /// The import.
    pub source: &'a str,
    /// The repository that is to have them.
    pub target: &'a str,
}

#[derive(Deserialize)]
struct Claimed {
    digest: String,
    #[serde(flatten)]
    claim: BlobClaim,
}

impl Store<CopyRepository> {
    /// Says who copies which of these blobs, and claims those that nobody does.
    ///
    /// May be repeated after an unknown outcome.
    pub async fn claim_blobs(
        &self,
        claimant: Claimant<'_>,
        digests: &[String],
        deadline: Instant,
    ) -> Result<BTreeMap<String, BlobClaim>, EndpointError> {
        let mut claims = BTreeMap::new();
        for digests in digests.chunks(BATCH) {
            let statement = Statement::repeatable_write("claim_blobs", CLAIM_BLOBS)
                .bind("source", claimant.source)
                .bind("target", claimant.target)
                .bind("digests", &Value::from(digests));
            let rows: Vec<Claimed> = self.endpoint.fetch(statement, deadline).await?;
            claims.extend(rows.into_iter().map(|row| (row.digest, row.claim)));
        }
        Ok(claims)
    }

    /// Notes which blobs the repository has now, and which it turned out not to have or not to copy. What is lost of it
    /// costs a question at the target.
    pub async fn note_blobs(
        &self,
        claimant: Claimant<'_>,
        there: &[String],
        dropped: &[String],
        deadline: Instant,
    ) -> Result<(), EndpointError> {
        let statement = Statement::repeatable_write("note_blobs", NOTE_BLOBS)
            .bind("source", claimant.source)
            .bind("target", claimant.target)
            .bind("there", &Value::from(there))
            .bind("dropped", &Value::from(dropped));
        self.endpoint.fetch::<Value, _>(statement, deadline).await.map(drop)
    }
}
