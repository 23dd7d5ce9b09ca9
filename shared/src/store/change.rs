use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Store;
use crate::{
    endpoint::{EndpointError, Notification, Purpose, Statement, Write, Writer},
    migration::{AttemptId, ContainerRepository, NotificationStatus, Plan, RepositoryPath, State, foreign},
};

pub(super) const CHANGE: &str = concat!(
    include_str!("sql/brake.sql"),
    include_str!("sql/change.sql"),
    include_str!("sql/told.sql"),
    include_str!("sql/change_report.sql")
);

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

/// Who answered a request to the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The registry.
    ByTheRegistry,
    /// Something that stands where the registry should be.
    BySomethingElse,
    /// Nobody: it was not even sent.
    ByNobody,
}

impl Answered {
    /// What the history calls it.
    const fn cause(self) -> &'static str {
        match self {
            Self::ByTheRegistry => "registry_answer",
            Self::BySomethingElse => "foreign_answer",
            Self::ByNobody => "registry_unreachable",
        }
    }
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
            .brief()
            .bind("guard", "notification")
            .bind("cause", "notification")
            .bind("event", status.name())
            .bind("attempt", reported)
            .bind("detail", detail.map(foreign::keep));
        changed(&self.endpoint, statement, path, &Plan::notified(status, detail), change, deadline).await
    }
}

impl<P: Purpose<Endpoint = Writer>> Store<P> {
    /// Records what the registry answered about `attempt`, if the row still is at that attempt.
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
        self.record_asked(path, attempt, plan, Answered::ByTheRegistry, detail, change, deadline).await
    }

    /// As [`Store::record_answer`], of a request that perhaps somebody else has answered, or nobody.
    ///
    /// # Errors
    /// [`EndpointError`] as [`Store::record_answer`].
    #[expect(clippy::too_many_arguments, reason = "each is another fact about the answer")]
    pub async fn record_asked(
        &self,
        path: &RepositoryPath,
        attempt: AttemptId,
        plan: &Plan,
        answered: Answered,
        detail: Option<&str>,
        change: AttemptId,
        deadline: Instant,
    ) -> Result<Option<Changed>, EndpointError> {
        let statement = Statement::repeatable_write("record_answer", CHANGE)
            .brief()
            .bind("guard", "attempt")
            .bind("cause", answered.cause())
            .bind("event", answered.cause())
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
