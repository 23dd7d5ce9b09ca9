use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use aws_config::SdkConfig;
use aws_sdk_rdsdata::{Client, types::Field};
use tokio::time::{Instant, timeout_at};

use super::{
    Effect, EndpointConfig, ErrorClass, Execution, Failure, Statement,
    data_api::{client, parameter, text_of},
    data_api_error::failure_of,
};
use crate::connections::Connections;

/// A cluster's writer instance, for what must happen in one transaction: the schema, and nothing else. Everything
/// else is one statement that commits by itself.
///
/// A transaction lives on one connection to the writer instance of the cluster that its ARN names; there is none
/// on a reader. The service ends one that has had no call for three minutes.
#[derive(Clone)]
pub struct Transactions {
    service: Arc<Service>,
}

struct Service {
    client: Client,
    config: EndpointConfig,
}

impl Transactions {
    /// Transactions through the Data API, on the credentials and the region of `sdk`. That `config` leads
    /// to the writer is the caller's promise.
    #[must_use]
    pub fn new(sdk: &SdkConfig, config: EndpointConfig) -> Self {
        Self { service: Arc::new(Service { client: client(sdk, &Connections::new(), &config), config }) }
    }

    /// Begins a transaction. Sent once, as everything in it is.
    ///
    /// # Errors
    /// A [`Failure`]; nothing has been changed then.
    pub async fn begin(&self, deadline: Instant) -> Result<Transaction<'_>, Failure> {
        let Service { client, config } = &*self.service;
        let request = client
            .begin_transaction()
            .resource_arn(&config.arn)
            .secret_arn(&config.secret_arn)
            .database(&config.database);
        let answer =
            in_time(deadline, Box::pin(async { request.send().await.map_err(|error| failure_of(&error)) }))
                .await?;
        let id = answer.transaction_id.ok_or_else(|| {
            Failure::new(Execution::Unknown, ErrorClass::Undecodable)
                .with_detail("a transaction without an id")
        })?;
        Ok(Transaction { service: &self.service, id, spoilt: AtomicBool::new(false) })
    }

    /// Runs a statement that cannot be in a transaction: it commits by itself. Sent once. Its rows, if it has any,
    /// say nothing. What takes longer than the service waits goes on after it has answered.
    ///
    /// # Errors
    /// A [`Failure`] whose outcome tells whether it ran: often nobody knows.
    pub async fn run_alone<E: Effect>(
        &self,
        statement: &Statement<E>,
        deadline: Instant,
    ) -> Result<(), Failure> {
        self.service.execute(statement, None, deadline).await.map(drop)
    }

    /// Runs a statement as a transaction of its own, and gives the one text column of every row. Sent once.
    ///
    /// # Errors
    /// A [`Failure`] whose outcome tells whether it ran.
    pub async fn fetch_alone<E: Effect>(
        &self,
        statement: &Statement<E>,
        deadline: Instant,
    ) -> Result<Vec<String>, Failure> {
        let rows = self.service.execute(statement, None, deadline).await?;
        rows.into_iter().enumerate().map(text_of).collect()
    }
}

impl Service {
    async fn execute<E: Effect>(
        &self,
        statement: &Statement<E>,
        transaction: Option<&str>,
        deadline: Instant,
    ) -> Result<Vec<Vec<Field>>, Failure> {
        let Self { client, config } = self;
        let parameters = statement.parameters().iter().map(|(name, value)| parameter(name, value)).collect();
        let request = client
            .execute_statement()
            .resource_arn(&config.arn)
            .secret_arn(&config.secret_arn)
            .database(&config.database)
            .set_transaction_id(transaction.map(str::to_owned))
            .continue_after_timeout(transaction.is_none())
            .sql(statement.sql())
            .set_parameters(Some(parameters));
        let sent = Box::pin(async { request.send().await.map_err(|error| failure_of(&error)) });
        Ok(in_time(deadline, sent).await?.records.unwrap_or_default())
    }
}

impl std::fmt::Debug for Transactions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Transactions")
    }
}

/// An open transaction. One that is dropped stays open until the service ends it: roll it back.
#[must_use = "what is neither committed nor rolled back keeps its locks for minutes"]
pub struct Transaction<'a> {
    service: &'a Service,
    id: String,
    /// Whether a statement in it failed, or nobody knows.
    spoilt: AtomicBool,
}

impl Transaction<'_> {
    /// Runs a statement and gives the one text column of every row; none for a statement without rows. After a
    /// failure, an unknown outcome among them, the transaction can only be rolled back.
    ///
    /// # Errors
    /// A [`Failure`]. Nothing of the transaction is kept unless it is committed, whatever the outcome says.
    pub async fn fetch<E: Effect>(
        &self,
        statement: &Statement<E>,
        deadline: Instant,
    ) -> Result<Vec<String>, Failure> {
        self.send(statement, deadline).await?.into_iter().enumerate().map(text_of).collect()
    }

    /// The same for a statement whose rows, if it has any, say nothing.
    ///
    /// # Errors
    /// As [`Transaction::fetch`].
    pub async fn run<E: Effect>(&self, statement: &Statement<E>, deadline: Instant) -> Result<(), Failure> {
        self.send(statement, deadline).await.map(drop)
    }

    async fn send<E: Effect>(
        &self,
        statement: &Statement<E>,
        deadline: Instant,
    ) -> Result<Vec<Vec<Field>>, Failure> {
        // A call that is dropped meanwhile has failed too.
        let was_spoilt = self.spoilt.swap(true, Ordering::Relaxed);
        let sent = self.service.execute(statement, Some(&self.id), deadline).await.map_err(of_transaction);
        if sent.is_ok() {
            self.spoilt.store(was_spoilt, Ordering::Relaxed);
        }
        sent
    }

    /// Commits. Rolled back after a failure, it is surely over: what was committed stays so.
    ///
    /// A transaction in which a statement failed is not committed: the service would roll it back and answer as if it
    /// had committed it.
    ///
    /// # Errors
    /// A [`Failure`] whose outcome tells whether it was committed: often nobody knows.
    pub async fn commit(&self, deadline: Instant) -> Result<(), Failure> {
        if self.spoilt.load(Ordering::Relaxed) {
            return Err(Failure::new(Execution::DidNotRun, ErrorClass::Defect)
                .with_detail("a statement of the transaction failed: it can only be rolled back"));
        }
        let Service { client, config } = self.service;
        let request = client
            .commit_transaction()
            .resource_arn(&config.arn)
            .secret_arn(&config.secret_arn)
            .transaction_id(&self.id);
        let sent =
            Box::pin(async { request.send().await.map_err(|error| of_transaction(failure_of(&error))) });
        in_time(deadline, sent).await.map(drop)
    }

    /// Rolls back, so that its locks are not kept until the service ends it.
    ///
    /// # Errors
    /// A [`Failure`]: the transaction may be gone already, or stays open until the service ends it.
    pub async fn roll_back(self, deadline: Instant) -> Result<(), Failure> {
        let Service { client, config } = self.service;
        let request = client
            .rollback_transaction()
            .resource_arn(&config.arn)
            .secret_arn(&config.secret_arn)
            .transaction_id(&self.id);
        let sent =
            Box::pin(async { request.send().await.map_err(|error| of_transaction(failure_of(&error))) });
        in_time(deadline, sent).await.map(drop)
    }
}

impl std::fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Transaction")
    }
}

/// Neither the SDK nor the service ends a call in time by itself. On the heap: the SDK's calls are large, and so would be
/// whatever awaits one.
async fn in_time<T>(
    deadline: Instant,
    call: Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + '_>>,
) -> Result<T, Failure> {
    timeout_at(deadline, call).await.unwrap_or(Err(Failure::new(Execution::Unknown, ErrorClass::Timeout)))
}

/// A transaction that the service no longer knows was ended by its age, by an error or with its connection. Asked
/// to commit it, the service says nothing about whether an earlier request did.
fn of_transaction(failure: Failure) -> Failure {
    match failure.code.as_deref() {
        Some("TransactionNotFoundException" | "NotFoundException") => {
            Failure { outcome: Execution::Unknown, class: ErrorClass::ConnectionLost, ..failure }
        }
        _ => failure,
    }
}
