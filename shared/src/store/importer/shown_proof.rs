use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{ImportStatus, TagState};
use crate::{
    endpoint::{self, EndpointError, Purpose, Served, Statement},
    migration::RepositoryPath,
    store::Store,
};

const SHOWN_PROOF: &str = include_str!("sql/shown_proof.sql");

/// What the importer has done for one repository, to be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownProof {
    /// The repository at the target.
    pub target: String,
    /// How its import stands.
    pub status: ImportStatus,
    /// Which attempt that is.
    pub attempt: String,
    /// When the attempt began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How many bytes there are, as far as they were listed.
    pub bytes_known: u64,
    /// How many of them are at the target.
    pub bytes_done: u64,
    /// Why it failed, in a word.
    pub cause: Option<String>,
    /// And what was said.
    pub error: Option<String>,
    /// How many tags there are of each kind; only the kinds that there are.
    pub tags: BTreeMap<TagState, u64>,
    /// The first hundred of them: those that are not equal, then the others by name.
    pub first_tags: Vec<ShownTag>,
}

/// One tag of a proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownTag {
    /// Its name.
    pub tag: String,
    /// What became of it.
    pub state: TagState,
    /// What the source had.
    pub source_digest: Option<String>,
    /// What the target was read to have.
    pub target_digest: Option<String>,
    /// Why it failed, in a word.
    pub cause: Option<String>,
    /// When it was found to be so.
    pub checked_at: Timestamp,
}

impl Store<endpoint::History> {
    /// What the importer has done for a repository. None: it was never asked for it.
    ///
    /// # Errors
    /// [`EndpointError`] when neither endpoint that may answer did.
    pub async fn shown_proof(
        &self,
        path: &RepositoryPath,
        deadline: Instant,
    ) -> Result<Served<Option<ShownProof>>, EndpointError> {
        let statement = Statement::read("shown_proof", SHOWN_PROOF).bind("path", path);
        let served = self.endpoint.fetch(&endpoint::History::RULE, statement, deadline).await?;
        Ok(served.map(|mut rows| rows.pop()))
    }
}
