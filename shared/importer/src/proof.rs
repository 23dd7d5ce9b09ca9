//! What the rows tell whoever looks.

use shared::{
    endpoint::EndpointError,
    store::importer::{Import, ImportCanceled, ProofRow},
};

use crate::importer::{Importer, database};

impl Importer {
    /// How each repository stands that was ever asked for. Any process may ask.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn progress(&self) -> Result<Vec<Import>, EndpointError> {
        let mut imports: Vec<Import> = Vec::new();
        loop {
            let after = imports.last().map_or(String::new(), |last| last.source.clone());
            let page = self.copies.imports(&after, database()).await?;
            if page.is_empty() {
                return Ok(imports);
            }
            imports.extend(page);
        }
    }

    /// The proof after a repository's tag, at most 500 lines in the order of both. None: from the beginning.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn proof(&self, after: Option<(&str, &str)>) -> Result<Vec<ProofRow>, EndpointError> {
        let (source, tag) = after.unwrap_or_default();
        self.copies.proof(source, tag, database()).await
    }

    /// Cancels what is in progress of a repository; with `force` takes back what has ended too. Whoever works on it notices by
    /// its next heartbeat.
    ///
    /// # Errors
    /// When the database does not answer: then nobody knows whether it is canceled.
    pub async fn cancel(&self, source: &str, force: bool) -> Result<ImportCanceled, EndpointError> {
        self.protocol.cancel_import(source, force, database()).await
    }

    /// Sets how much a registry (`source` or `target`) is asked for at most by all workers together: `requests` or `bytes` a
    /// second. None ends the limit. Workers learn of it by their next heartbeat.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn limit(
        &self,
        side: &str,
        action: &str,
        per_second: Option<f64>,
    ) -> Result<(), EndpointError> {
        self.copies.limit(side, action, per_second, database()).await
    }
}
