//! One statement on one connection: prepare, bind, run, read.

use std::pin::pin;
use std::time::Duration;

use futures::TryStreamExt as _;
use tokio_postgres::{Client, NoTls, Statement};

use crate::bind::Bound;
use crate::config::Limits;
use crate::decode::{self, Raw, ReturnTypes};
use crate::error::{ApiError, ErrorCode};
use crate::field::Field;
use crate::metadata;

const CANCEL_GRACE: Duration = Duration::from_secs(5);

/// What a statement gave.
#[derive(Debug, Default)]
pub(crate) struct ResultSet {
    /// Column labels; empty for a statement without rows.
    pub(crate) labels: Vec<String>,
    pub(crate) rows: Vec<Vec<Field>>,
    /// Rows changed; 0 where the statement returns rows.
    pub(crate) updated: u64,
    /// `columnMetadata`, where it was asked for.
    pub(crate) metadata: Option<serde_json::Value>,
}

/// Why a statement gave none.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: ApiError,
    pub(crate) stage: Stage,
}

/// How far a failed statement came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The connection broke before the statement was executed: another may be tried.
    NeverSent,
    /// PostgreSQL refused or aborted it, or the connection broke meanwhile.
    Failed,
    /// It ran; its result could not be returned.
    Ran,
}

/// One statement and how its result is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) text: String,
    pub(crate) values: Vec<Bound>,
    pub(crate) returns: ReturnTypes,
    pub(crate) metadata: bool,
}

impl Job {
    /// Runs the statement. PostgreSQL commits it by itself unless a transaction is open on the connection.
    pub(crate) async fn run(&self, client: &Client, limits: &Limits) -> Result<ResultSet, Failure> {
        let types: Vec<_> = self.values.iter().map(|bound| bound.ty.clone()).collect();
        let prepared = client.prepare_typed(&self.text, &types).await.map_err(|error| Failure {
            error: ApiError::from_postgres(&error),
            stage: if error.as_db_error().is_none() { Stage::NeverSent } else { Stage::Failed },
        })?;
        let failed = |error: tokio_postgres::Error| Failure {
            error: ApiError::from_postgres(&error),
            stage: Stage::Failed,
        };
        let metadata = match self.metadata {
            true => Some(metadata::describe(client, &prepared).await.map_err(failed)?),
            false => None,
        };
        let mut result = self.rows(client, &prepared, limits).await?;
        result.metadata = metadata;
        Ok(result)
    }

    async fn rows(
        &self,
        client: &Client,
        prepared: &Statement,
        limits: &Limits,
    ) -> Result<ResultSet, Failure> {
        let failed = |error: tokio_postgres::Error| Failure {
            error: ApiError::from_postgres(&error),
            stage: Stage::Failed,
        };
        let columns = prepared.columns();
        let mut refused = columns.iter().find_map(|column| decode::check_supported(column.type_()).err());
        let mut rows = Vec::new();
        let mut bytes = 0;
        let stream = client.query_raw(prepared, &self.values).await.map_err(failed)?;
        let mut stream = pin!(stream);
        // A result that is refused is still read to its end: only then has the statement run as a whole.
        while let Some(row) = stream.try_next().await.map_err(failed)? {
            if refused.is_some() {
                continue;
            }
            let raw: Vec<Option<Raw<'_>>> = (0..columns.len()).map(|index| row.get(index)).collect();
            let size: usize = raw.iter().flatten().map(|raw| raw.0.len()).sum();
            bytes += size;
            refused = too_large(size, bytes, limits).err();
            let fields = columns.iter().zip(&raw).map(|(column, raw)| {
                decode::field(column.type_(), raw.as_ref().map(|raw| raw.0), self.returns)
            });
            match fields.collect() {
                Ok(fields) => rows.push(fields),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        match refused {
            Some(error) => Err(Failure { error, stage: Stage::Ran }),
            None => Ok(ResultSet {
                labels: columns.iter().map(|column| column.name().to_owned()).collect(),
                rows,
                updated: if columns.is_empty() { stream.rows_affected().unwrap_or(0) } else { 0 },
                metadata: None,
            }),
        }
    }
}

fn too_large(row: usize, total: usize, limits: &Limits) -> Result<(), ApiError> {
    if row > limits.row_bytes {
        return Err(ApiError::unsupported_result("Packet for query is too large"));
    }
    if total > limits.response_bytes {
        return Err(ApiError::unsupported_result("Database response exceeded size limit"));
    }
    Ok(())
}

/// Asks PostgreSQL to stop what the connection is doing, and waits until it has.
pub(crate) async fn cancel(token: tokio_postgres::CancelToken, stopped: impl Future) {
    if let Err(error) = token.cancel_query(NoTls).await {
        tracing::warn!(%error, "a statement could not be cancelled");
    }
    if tokio::time::timeout(CANCEL_GRACE, stopped).await.is_err() {
        tracing::warn!("a cancelled statement goes on");
    }
}

/// The answer when a call has used up its time.
pub(crate) fn timed_out() -> ApiError {
    ApiError::new(ErrorCode::StatementTimeoutException, "Request timed out")
}
