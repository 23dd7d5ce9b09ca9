//! The five operations.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::bind::bind;
use crate::error::{ApiError, ErrorCode};
use crate::execute::Job;
use crate::format;
use crate::pool::{Target, connect};
use crate::run::{Work, in_transaction, on_its_own};
use crate::shared::Shared;
use crate::sql::{Verb, rewrite};
use crate::transactions::{End, PartialScope, Scope, roll_back};
use crate::validate;
use crate::wire::{Operation, Parameter, Request};

/// Answers one call.
pub(crate) async fn answer(
    shared: &Arc<Shared>,
    operation: Operation,
    request: &Request,
) -> Result<Value, ApiError> {
    validate::common(request)?;
    match operation {
        Operation::ExecuteStatement => execute(shared, request).await,
        Operation::BatchExecuteStatement => batch(shared, request).await,
        Operation::BeginTransaction => begin(shared, request).await,
        Operation::CommitTransaction => finish(shared, request, Finish::Commit).await,
        Operation::RollbackTransaction => finish(shared, request, Finish::Rollback).await,
    }
}

async fn execute(shared: &Arc<Shared>, request: &Request) -> Result<Value, ApiError> {
    let in_transaction = request.transaction_id.is_some();
    let (sql, verb) = validate::statement(request, &shared.config.limits, in_transaction)?;
    let returns = validate::return_types(request)?;
    let json_wanted = validate::wants_json(request)? && verb == Verb::Select;
    let rewritten = rewrite(sql);
    let values = bind(&rewritten.names, request.parameters.as_deref().unwrap_or_default())?;
    let metadata = request.include_result_metadata == Some(true) && !json_wanted;
    let job = Job { text: rewritten.text, values, returns, metadata };
    let mut results = run(shared, request, verb, vec![job]).await?;
    let result = results.pop().unwrap_or_default();

    let mut answer = json!({ "numberOfRecordsUpdated": result.updated });
    if json_wanted {
        let records = format::records(&result, shared.config.limits.formatted_bytes)?;
        answer["formattedRecords"] = Value::String(records);
    } else if result.labels.is_empty() {
        answer["generatedFields"] = json!([]);
    } else {
        answer["records"] = result
            .rows
            .iter()
            .map(|row| row.iter().map(|field| field.to_wire()).collect::<Value>())
            .collect();
    }
    if let Some(metadata) = result.metadata {
        answer["columnMetadata"] = metadata;
    }
    Ok(answer)
}

/// The same statement once per parameter set, each committed by itself outside a transaction; the first
/// error ends the batch.
async fn batch(shared: &Arc<Shared>, request: &Request) -> Result<Value, ApiError> {
    let (sql, verb) = validate::statement(request, &shared.config.limits, request.transaction_id.is_some())?;
    let rewritten = rewrite(sql);
    let none: &[Vec<Parameter>] = &[];
    let sets = request.parameter_sets.as_deref().unwrap_or(none);
    let jobs: Vec<Job> = sets
        .iter()
        .map(|set| {
            let values = bind(&rewritten.names, set)?;
            Ok(Job { text: rewritten.text.clone(), values, returns: Default::default(), metadata: false })
        })
        .collect::<Result<_, ApiError>>()?;
    let results = run(shared, request, verb, jobs).await?;
    let updates: Vec<Value> = results.iter().map(|_| json!({ "generatedFields": [] })).collect();
    Ok(json!({ "updateResults": updates }))
}

async fn run(
    shared: &Arc<Shared>,
    request: &Request,
    verb: Verb,
    jobs: Vec<Job>,
) -> Result<Vec<crate::execute::ResultSet>, ApiError> {
    let work = Work { jobs, verb, continue_after_timeout: request.continue_after_timeout == Some(true) };
    match &request.transaction_id {
        None => on_its_own(shared, target(shared, request)?, work).await,
        Some(_) if work.continue_after_timeout => Err(ApiError::new(
            ErrorCode::BadRequestException,
            "continueAfterTimeout isn't supported inside a transaction",
        )),
        Some(id) => {
            let slot = shared.transactions.acquire(id, &scope(shared, request)?)?;
            in_transaction(shared, id.clone(), slot, work).await
        }
    }
}

async fn begin(shared: &Arc<Shared>, request: &Request) -> Result<Value, ApiError> {
    let target = target(shared, request)?;
    let scope = scope(shared, request)?;
    let scope = Scope {
        cluster: scope.cluster.to_owned(),
        secret: scope.secret.to_owned(),
        database: target.database.clone(),
    };
    let client = connect(&target).await?;
    client.batch_execute("BEGIN").await.map_err(|error| ApiError::from_postgres(&error))?;
    Ok(json!({ "transactionId": shared.transactions.open(scope, client) }))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Finish {
    Commit,
    Rollback,
}

/// A transaction that an error or its age has ended is `TransactionNotFoundException`; one that was
/// finished before, or that this cluster never knew, is `NotFoundException`, which only these two operations
/// have.
async fn finish(shared: &Arc<Shared>, request: &Request, how: Finish) -> Result<Value, ApiError> {
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
        return Ok(json!({ "transactionStatus": "Rollback Complete" }));
    }
    if let Some(client) = slot.take() {
        client.batch_execute("COMMIT").await.map_err(|error| ApiError::from_postgres(&error))?;
    }
    Ok(json!({ "transactionStatus": "Transaction Committed" }))
}

/// Whom to connect as, and where, for this call.
fn target(shared: &Shared, request: &Request) -> Result<Target, ApiError> {
    let cluster_arn = validate::arn(request.resource_arn.as_deref(), "resourceArn")?;
    let secret_arn = validate::arn(request.secret_arn.as_deref(), "secretArn")?;
    let cluster = shared.cluster(cluster_arn)?;
    let secret = shared.secret(secret_arn)?;
    let database = request.database.as_deref().unwrap_or(&shared.config.default_database);
    Ok(Target::new(cluster, &secret.username, &secret.password, database))
}

/// What this call says of its transaction.
fn scope<'a>(shared: &'a Shared, request: &'a Request) -> Result<PartialScope<'a>, ApiError> {
    let cluster_arn = validate::arn(request.resource_arn.as_deref(), "resourceArn")?;
    let secret_arn = validate::arn(request.secret_arn.as_deref(), "secretArn")?;
    Ok(PartialScope {
        cluster: &shared.cluster(cluster_arn)?.arn,
        secret: &shared.secret(secret_arn)?.arn,
        database: request.database.as_deref(),
    })
}
