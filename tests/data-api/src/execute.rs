//! One statement on one connection: prepare, bind, run, read.

use std::pin::pin;
use std::sync::Arc;

use futures::TryStreamExt as _;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row, RowStream};

use crate::bind::Bound;
use crate::decode::{self, Raw, ReturnTypes};
use crate::error::{ApiError, ErrorCode};
use crate::metadata;
use crate::records::Records;
use crate::session::{Prepared, Session};
use crate::sql::Verb;

/// What a statement gave.
#[derive(Debug, Default)]
pub(crate) struct ResultSet {
    /// The rows as JSON text; None for a statement without rows.
    pub(crate) records: Option<String>,
    /// Rows changed; 0 where the statement returns rows.
    pub(crate) updated: u64,
    /// `columnMetadata`, where it was asked for and there are columns.
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
    /// PostgreSQL refused or aborted it.
    Failed,
    /// The connection broke meanwhile, or cannot be used any more.
    Broken,
    /// It ran; its result could not be returned.
    Ran,
    /// It ran; its result was too large.
    Oversized,
}

impl Failure {
    fn of(error: &Error) -> Self {
        let stage = if error.as_db_error().is_some() { Stage::Failed } else { Stage::Broken };
        Self { error: ApiError::from_postgres(error), stage }
    }

    fn ran(error: ApiError, stage: Stage) -> Self {
        Self { error: ApiError { ran: true, ..error }, stage }
    }
}

/// How the rows are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// As `records`.
    Records,
    /// As `formattedRecords`, in at most so many bytes.
    Json(usize),
    /// Not at all.
    Nothing,
}

/// One statement and how its result is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) text: Arc<str>,
    pub(crate) verb: Verb,
    pub(crate) returns: ReturnTypes,
    pub(crate) format: Format,
    pub(crate) metadata: bool,
    /// The largest result, in bytes.
    pub(crate) largest: usize,
}

impl Job {
    /// Runs the statement. PostgreSQL commits it by itself unless a transaction is open on the connection.
    pub(crate) async fn run(&self, session: &mut Session, values: &[Bound]) -> Result<ResultSet, Failure> {
        let types: Vec<Type> = values.iter().map(|bound| bound.ty.clone()).collect();
        session.sent = session.sent.max(values.iter().map(Bound::size).sum());
        let prepared = session.prepare(&self.text, &types).await.map_err(|error| Failure {
            error: ApiError::from_postgres(&error),
            stage: if error.as_db_error().is_none() { Stage::NeverSent } else { Stage::Failed },
        })?;
        let result = self.run_prepared(session, values, &prepared).await;
        match result {
            // Nothing has run: what a statement gives, or its being there, has changed since it was prepared.
            Err(Told::ByPostgres(error)) if prepared.again && is_out_of_date(&error) => {
                session.forget(&prepared);
                let anew = session.prepare(&self.text, &types).await.map_err(|anew| Failure {
                    // Inside a transaction that is what has aborted it.
                    error: self.error(if is_aborted(&anew) { &error } else { &anew }, &prepared),
                    stage: if anew.as_db_error().is_none() { Stage::Broken } else { Stage::Failed },
                })?;
                self.run_prepared(session, values, &anew).await.map_err(|told| self.failure(told, &anew))
            }
            other => other.map_err(|told| self.failure(told, &prepared)),
        }
    }

    async fn run_prepared(
        &self,
        session: &mut Session,
        values: &[Bound],
        prepared: &Prepared,
    ) -> Result<ResultSet, Told> {
        session.oversized.take();
        let client = &session.client;
        if prepared.statement.params().len() != values.len() {
            // The client library would refuse to bind this; the real service sends it, and PostgreSQL says so.
            let typed = values.iter().map(|bound| (bound, bound.ty.clone()));
            return match client.query_typed_raw(&self.text, typed).await {
                Ok(rows) => self.read(session, prepared, None, rows).await,
                Err(error) => Err(error.into()),
            };
        }
        let metadata = match self.metadata && !prepared.statement.columns().is_empty() {
            true => Some(metadata::describe(client, &prepared.statement).await?),
            false => None,
        };
        let rows = client.query_raw(&prepared.statement, values).await?;
        self.read(session, prepared, metadata, rows).await
    }

    async fn read(
        &self,
        session: &Session,
        prepared: &Prepared,
        metadata: Option<serde_json::Value>,
        rows: RowStream,
    ) -> Result<ResultSet, Told> {
        let columns = prepared.statement.columns();
        let mut rows = pin!(rows);
        let mut records = Records::new(columns, self.format, self.largest);
        let mut refused: Option<Failure> = None;
        // A result that is refused is still read to its end: only then has the statement run as a whole.
        while let Some(row) = rows.try_next().await? {
            if refused.is_some() {
                continue;
            }
            if session.oversized.take() {
                refused = Some(Failure::ran(ApiError::too_large(), Stage::Oversized));
            } else if let Err(failure) = self.add(&mut records, &row) {
                refused = Some(failure);
            }
            if refused.is_some() {
                records = Records::new(columns, self.format, self.largest);
            }
        }
        if let Some(failure) = refused {
            return Err(Told::Refused(failure));
        }
        let updated = if columns.is_empty() { rows.rows_affected().unwrap_or(0) } else { 0 };
        let records = if columns.is_empty() {
            None
        } else {
            Some(records.finish().map_err(|error| Told::Refused(Failure::ran(error, Stage::Ran)))?)
        };
        Ok(ResultSet { records, updated, metadata })
    }

    fn add(&self, records: &mut Records<'_>, row: &Row) -> Result<(), Failure> {
        let refused = |error: ApiError| Failure::ran(error, Stage::Ran);
        let mut fields = Vec::with_capacity(row.len());
        for (index, column) in row.columns().iter().enumerate() {
            decode::check_supported(column.type_()).map_err(refused)?;
            let raw: Option<Raw<'_>> = row.get(index);
            let field = decode::field(column.type_(), raw.map(|raw| raw.0), self.returns).map_err(refused)?;
            fields.push(field);
        }
        records.add(&fields).map_err(|error| Failure::ran(error, Stage::Oversized))
    }

    fn failure(&self, told: Told, prepared: &Prepared) -> Failure {
        match told {
            Told::Refused(failure) => failure,
            Told::ByPostgres(error) => {
                let failure = Failure { error: self.error(&error, prepared), ..Failure::of(&error) };
                match self.verb {
                    // Its data is passed over, and the connection goes on.
                    Verb::CopyOut if !error.is_closed() => Failure { stage: Stage::Ran, ..failure },
                    _ => failure,
                }
            }
        }
    }

    fn error(&self, error: &Error, prepared: &Prepared) -> ApiError {
        let unexpected = |what: &str| {
            ApiError::new(ErrorCode::DatabaseErrorException, format!("unexpected message: {what}"))
        };
        match (error.as_db_error(), self.verb) {
            (Some(reason), _) => ApiError::from_database(reason, &prepared.name()),
            (None, Verb::CopyOut) if !error.is_closed() => unexpected("CopyOutResponse"),
            (None, Verb::CopyIn) if !error.is_closed() => unexpected("CopyInResponse"),
            (None, _) => ApiError::from_postgres(error),
        }
    }
}

/// What came instead of a result.
enum Told {
    ByPostgres(Error),
    Refused(Failure),
}

impl From<Error> for Told {
    fn from(error: Error) -> Self {
        Self::ByPostgres(error)
    }
}

/// A kept statement whose result has other columns by now, or that somebody has deallocated.
fn is_out_of_date(error: &Error) -> bool {
    match error.code() {
        Some(code) if *code == SqlState::INVALID_SQL_STATEMENT_NAME => true,
        Some(code) if *code == SqlState::FEATURE_NOT_SUPPORTED => {
            error.as_db_error().is_some_and(|reason| reason.message().starts_with("cached plan"))
        }
        _ => false,
    }
}

fn is_aborted(error: &Error) -> bool {
    error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION)
}

/// The answer when a call has used up its time.
pub(crate) fn timed_out() -> ApiError {
    ApiError::new(ErrorCode::StatementTimeoutException, "Request timed out")
}
