use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::Holder;
use crate::{
    endpoint::{CopyRepository, EndpointError, Statement},
    store::Store,
};

const UPLOADS: &str = include_str!("sql/uploads.sql");
const KEEP_UPLOAD: &str = include_str!("sql/keep_upload.sql");
const END_UPLOAD: &str = include_str!("sql/end_upload.sql");

/// Where the upload of a blob that takes more than one part stands.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct KeptUpload {
    /// Which blob.
    pub digest: String,
    /// Where the next part goes.
    pub location: String,
    /// How many bytes were sent and answered.
    pub sent: u64,
    /// The digest's middle state after them.
    pub hash: String,
}

/// A location may carry a signature of the registry's.
impl std::fmt::Debug for KeptUpload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptUpload")
            .field("digest", &self.digest)
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}

impl Store<CopyRepository> {
    /// The uploads into a repository of the target that were not ended.
    pub async fn uploads(&self, target: &str, deadline: Instant) -> Result<Vec<KeptUpload>, EndpointError> {
        self.endpoint
            .fetch(Statement::read("uploads", UPLOADS).brief().bind("target", target), deadline)
            .await
    }

    /// Keeps where an upload stands, before its next part is sent. Only the holder of the lease does.
    pub async fn keep_upload(
        &self,
        holder: &Holder,
        target: &str,
        upload: &KeptUpload,
        deadline: Instant,
    ) -> Result<(), EndpointError> {
        let statement = Statement::repeatable_write("keep_upload", KEEP_UPLOAD)
            .brief()
            .bind("source", &holder.source)
            .bind("worker", holder.worker)
            .bind("target", target)
            .bind("digest", &upload.digest)
            .bind("location", &upload.location)
            .bind("sent", i64::try_from(upload.sent).unwrap_or(i64::MAX))
            .bind("hash", &upload.hash);
        self.endpoint.fetch::<Value, _>(statement, deadline).await.map(drop)
    }

    /// Forgets an upload that is over.
    pub async fn end_upload(
        &self,
        target: &str,
        digest: &str,
        deadline: Instant,
    ) -> Result<(), EndpointError> {
        let statement = Statement::repeatable_write("end_upload", END_UPLOAD)
            .brief()
            .bind("target", target)
            .bind("digest", digest);
        self.endpoint.fetch::<Value, _>(statement, deadline).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::KeptUpload;

    #[test]
    fn shows_no_location_of_an_upload() {
        let upload = KeptUpload {
            digest: "sha256:00".to_owned(),
            location: "/v2/a/blobs/uploads/1?_state=hunter2".to_owned(),
            sent: 7,
            hash: String::new(),
        };
        assert!(!format!("{upload:?}").contains("hunter2"));
    }
}
