use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Store;
use crate::{
    endpoint::{EndpointError, Notification, Purpose, Statement, Write, Writer},
    migration::{AttemptId, ContainerRepository, NotificationStatus, Plan, RepositoryPath, State, foreign},
};

pub(super) const CHANGE: &str = include_str!("sql/change.sql");

/// How a change was judged, against the row as it was when the statement had it locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Made, with its history, in this statement.
    Applied,
    /// Made by an earlier sending of the same statement.
    Repeat,
    /// The notification is of an earlier attempt of this row: recorded, otherwise ignored.
    EarlierAttempt,
    /// The notification is of the current attempt, which is over: recorded, otherwise ignored.
    AlreadyOver,
    /// The notification tells what the row says already: recorded.
    Nothing,
    /// The row's state does not allow it: nothing recorded.
    Refused,
    /// The row has moved on since the attempt this follows up: nothing recorded.
    Superseded,
}

/// What a change came to.
#[derive(Clone, Debug, Deserialize)]
pub struct Changed {
    /// How it was judged.
    pub verdict: Verdict,
    /// The state that was found.
    pub before: State,
    /// The row afterwards.
    pub row: ContainerRepository,
}

impl Store<Notification> {
    /// Applies a notification: one statement that finds, checks, changes, logs and reports.
    ///
    /// `change` is the id of this change and of the attempt it may begin. The same call with the same `change`
    /// may be repeated after an unknown outcome. None: no such repository.
    ///
    /// # Errors
    /// [`EndpointError`] when the writer did not answer with a verdict.
    pub async fn apply_notification(
        &self,
        path: &RepositoryPath,
        status: NotificationStatus,
        reported: Option<AttemptId>,
        detail: Option<&str>,
        change: AttemptId,
        deadline: Instant,
    ) -> Result<Option<Changed>, EndpointError> {
        let statement = Statement::repeatable_write("apply_notification", CHANGE)
            .bind("guard", "notification")
            .bind("cause", "notification")
            .bind("event", status.name())
            .bind("attempt", reported)
            .bind("detail", detail.map(foreign::keep));
        changed(&self.endpoint, statement, path, &Plan::notification(status), change, deadline).await
    }
}

impl<P: Purpose<Endpoint = Writer>> Store<P> {
    /// Records what the registry answered to the request of `attempt`, if the row still is at that attempt.
    ///
    /// Repeatable with the same `change`, as [`Store::apply_notification`]. None: no such repository.
    ///
    /// # Errors
    /// [`EndpointError`] when the writer did not answer with a verdict.
    pub async fn record_answer(
        &self,
        path: &RepositoryPath,
        attempt: AttemptId,
        plan: &Plan,
        detail: Option<&str>,
        change: AttemptId,
        deadline: Instant,
    ) -> Result<Option<Changed>, EndpointError> {
        let statement = Statement::repeatable_write("record_answer", CHANGE)
            .bind("guard", "attempt")
            .bind("cause", "registry_answer")
            .bind("event", "registry_answer")
            .bind("attempt", attempt)
            .bind("detail", detail.map(foreign::keep));
        changed(&self.endpoint, statement, path, plan, change, deadline).await
    }
}

pub(super) async fn changed(
    writer: &Writer,
    statement: Statement<Write>,
    path: &RepositoryPath,
    plan: &Plan,
    change: AttemptId,
    deadline: Instant,
) -> Result<Option<Changed>, EndpointError> {
    let statement = statement.bind("path", path).bind("plan", &plan.to_json()).bind("change", change);
    Ok(writer.fetch::<Changed, _>(statement, deadline).await?.pop())
}
