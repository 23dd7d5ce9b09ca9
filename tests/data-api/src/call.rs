//! The five operations. An answer is the JSON text of its body.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::bind::bind;
use crate::decode::ReturnTypes;
use crate::error::{ApiError, ErrorCode};
use crate::execute::{Format, Job, ResultSet};
use crate::pool::Target;
use crate::run::{Values, Work, in_transaction, on_its_own};
use crate::shared::Shared;
use crate::sql::{Verb, rewrite};
use crate::transactions::{End, PartialScope, Scope, roll_back};
use crate::validate;
use crate::wire::{Operation, Request};

/// Answers one call. Its parameters are gone then: they may be most of what it holds.
pub(crate) async fn answer(
    shared: &Arc<Shared>,
    operation: Operation,
    request: &mut Request,
) -> Result<String, ApiError> {
    validate::common(request)?;
    match operation {
        Operation::ExecuteStatement => execute(shared, request).await,
        Operation::BatchExecuteStatement => batch(shared, request).await,
        Operation::BeginTransaction => begin(shared, request).await,
        Operation::CommitTransaction => finish(shared, request, Finish::Commit).await,
        Operation::RollbackTransaction => finish(shared, request, Finish::Rollback).await,
    }
}

async fn execute(shared: &Arc<Shared>, request: &mut Request) -> Result<String, ApiError> {
    let limits = &shared.config.limits;
    let (sql, verb) = validate::statement(request, limits)?;
    let returns = validate::return_types(request)?;
    let json_wanted = validate::wants_json(request)? && verb == Verb::Select;
    let rewritten = rewrite(sql);
    let values = bind(&rewritten.names, std::mem::take(&mut request.parameters), limits.bound_bytes())?;
    let job = Job {
        text: rewritten.text.into(),
        verb,
        returns,
        format: if json_wanted { Format::Json(limits.formatted_bytes) } else { Format::Records },
        metadata: request.include_result_metadata == Some(true) && !json_wanted,
        largest: limits.response_bytes,
    };
    let result = run(shared, request, job, Values::Once(values)).await?;
    Ok(executed(result, json_wanted))
}

fn executed(result: ResultSet, json_wanted: bool) -> String {
    let mut text = format!("{{\"numberOfRecordsUpdated\":{}", result.updated);
    match result.records {
        None => text.push_str(",\"generatedFields\":[]"),
        Some(records) if json_wanted => {
            text.push_str(",\"formattedRecords\":");
            text.push_str(&Value::from(records).to_string());
        }
        Some(records) => {
            text.push_str(",\"records\":");
            text.push_str(&records);
        }
    }
    if let Some(metadata) = result.metadata {
        text.push_str(",\"columnMetadata\":");
        text.push_str(&metadata.to_string());
    }
    text.push('}');
    text
}

/// The same statement once per parameter set, each committed by itself outside a transaction; the first
/// error ends the batch.
async fn batch(shared: &Arc<Shared>, request: &Request) -> Result<String, ApiError> {
    let limits = &shared.config.limits;
    let (sql, verb) = validate::statement(request, limits)?;
    let rewritten = rewrite(sql);
    let (names, sets, largest) = (rewritten.names, request.parameter_sets.clone(), limits.bound_bytes());
    // What cannot be bound is refused before anything runs.
    for set in sets.iter() {
        bind(&names, set?, largest)?;
    }
    let count = sets.len();
    let job = Job {
        text: rewritten.text.into(),
        verb,
        returns: ReturnTypes::default(),
        format: Format::Nothing,
        metadata: false,
        largest: limits.response_bytes,
    };
    run(shared, request, job, Values::PerSet { names, sets, largest }).await?;
    let updates = vec![r#"{"generatedFields":[]}"#; count].join(",");
    Ok(format!("{{\"updateResults\":[{updates}]}}"))
}

async fn run(
    shared: &Arc<Shared>,
    request: &Request,
    job: Job,
    values: Values,
) -> Result<ResultSet, ApiError> {
    let work = Work { job, values, continue_after_timeout: request.continue_after_timeout == Some(true) };
    match &request.transaction_id {
        None => on_its_own(shared, target(shared, request)?, work).await,
        Some(id) => {
            let slot = shared.transactions.acquire(id, &scope(shared, request)?)?;
            in_transaction(shared, id.clone(), slot, work).await
        }
    }
}

async fn begin(shared: &Arc<Shared>, request: &Request) -> Result<String, ApiError> {
    let target = target(shared, request)?;
    let scope = scope(shared, request)?;
    let scope = Scope {
        cluster: scope.cluster.to_owned(),
        secret: scope.secret.to_owned(),
        database: target.database.clone(),
    };
    let session = shared.connect(&target).await?;
    session.client.batch_execute("BEGIN").await.map_err(|error| ApiError::from_postgres(&error))?;
    Ok(json!({ "transactionId": shared.transactions.open(scope, session) }).to_string())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Finish {
    Commit,
    Rollback,
}

/// A transaction that its age, its connection or a large result has ended is `TransactionNotFoundException`; one that
/// was finished before, or that this cluster never knew, is `NotFoundException`, which only these two operations
/// have. A commit of what an error has aborted rolls it back, and says nothing of that.
async fn finish(shared: &Arc<Shared>, request: &Request, how: Finish) -> Result<String, ApiError> {
    let scope = scope(shared, request)?;
    let id = validate::required(request.transaction_id.as_deref(), "transactionId")?;
    let transactions = &shared.transactions;
    let mut slot =
        transactions.acquire(id, &scope).map_err(|error| match (error.code, transactions.ending(id)) {
            (ErrorCode::TransactionNotFoundException, None | Some(End::Finished)) => {
                ApiError::new(ErrorCode::NotFoundException, error.message)
            }
            _ => error,
        })?;
    transactions.end(id, End::Finished);
    if how == Finish::Rollback {
        roll_back(slot).await;
        return Ok(json!({ "transactionStatus": "Rollback Complete" }).to_string());
    }
    if let Some(session) = slot.take() {
        session.client.batch_execute("COMMIT").await.map_err(|error| ApiError::from_postgres(&error))?;
    }
    Ok(json!({ "transactionStatus": "Transaction Committed" }).to_string())
}

/// Whom to connect as, and where, for this call.
fn target(shared: &Shared, request: &Request) -> Result<Target, ApiError> {
    let cluster_arn = validate::arn(request.resource_arn.as_deref(), "resourceArn")?;
    let secret_arn = validate::arn(request.secret_arn.as_deref(), "secretArn")?;
    let cluster = shared.cluster(cluster_arn)?;
    let secret = shared.secret(secret_arn)?;
    // Like any client of PostgreSQL: the database that is called as its user is.
    let default = shared.config.default_database.as_ref().unwrap_or(&secret.username);
    Ok(Target {
        host: cluster.host.to_owned(),
        port: cluster.port,
        user: secret.username.clone(),
        password: secret.password.clone(),
        database: request.database.as_ref().unwrap_or(default).clone(),
    })
}

/// What this call says of its transaction.
fn scope<'a>(shared: &'a Shared, request: &'a Request) -> Result<PartialScope<'a>, ApiError> {
    let cluster_arn = validate::arn(request.resource_arn.as_deref(), "resourceArn")?;
    let secret_arn = validate::arn(request.secret_arn.as_deref(), "secretArn")?;
    Ok(PartialScope {
        cluster: shared.cluster(cluster_arn)?.arn,
        secret: &shared.secret(secret_arn)?.arn,
        database: request.database.as_deref(),
    })
}
