use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Store, check_path};
use crate::{
    endpoint::{EndpointError, Notification, Purpose, Statement, Write, Writer},
    migration::{AttemptId, ContainerRepository, NotificationStatus, Plan, RepositoryPath, State, foreign},
};

pub(super) const CHANGE: &str = concat!(
    include_str!("sql/brake.sql"),
    include_str!("sql/change.sql"),
    include_str!("sql/signal.sql"),
    include_str!("sql/change_report.sql")
);

/// How a change was judged, against the row as it was when the statement had it locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// The notification proves nothing by itself: it contradicts what was asked for, or names an attempt that never
    /// was this row's. Recorded; the registry is to be asked.
    Unverified,
    /// The row's state does not allow it: nothing recorded.
    Refused,
    /// The row has moved on since the attempt this follows up: nothing recorded.
    Superseded,
}

impl Verdict {
    /// Whether the change is made, by this statement or by an earlier sending of it.
    #[must_use]
    pub const fn took_effect(self) -> bool {
        match self {
            Self::Applied | Self::Repeat => true,
            Self::EarlierAttempt
            | Self::AlreadyOver
            | Self::Nothing
            | Self::Unverified
            | Self::Refused
            | Self::Superseded => false,
        }
    }
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
            .bind("precondition", "notification")
            .bind("cause", "notification")
            .bind("event", status.name())
            .bind("attempt", reported)
            .bind("detail", detail.map(foreign::keep))
            .bind("operator", self.operator());
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
            .bind("precondition", "attempt")
            .bind("cause", answered.cause())
            .bind("event", answered.cause())
            .bind("attempt", attempt)
            .bind("detail", detail.map(foreign::keep))
            .bind("operator", self.operator());
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
    let permille = i64::try_from(change.permille()).unwrap_or_default();
    let statement = statement
        .bind("path", path)
        .bind("plan", &plan.to_json())
        .bind("change", change)
        .bind("permille", permille);
    let name = statement.name();
    let changed = writer.fetch::<Changed, _>(statement, deadline).await?.pop();
    if let Some(changed) = &changed {
        check_path(&changed.row, path, Writer::NAME, name)?;
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{CHANGE, Changed};
    use crate::{
        endpoint::{Call, EndpointError, ErrorClass, Failure, Notification, Transport, Writer},
        migration::{AttemptId, NotificationStatus, RepositoryPath},
        store::Store,
    };

    /// What an update takes from the row as the statement's snapshot has it.
    fn taken_from_the_snapshot(sql: &str) -> Vec<&str> {
        let (_, update) = sql.split_once("UPDATE container_repositories AS c SET").unwrap();
        let (set, _) = update.split_once("FROM decided").unwrap();
        set.lines()
            .filter(|line| {
                line.split(|c: char| !c.is_alphanumeric() && c != '.').any(|word| word.starts_with("c."))
            })
            .collect()
    }

    #[test]
    fn keeps_only_what_the_locked_row_holds() {
        for sql in [CHANGE, include_str!("sql/started.sql"), include_str!("sql/bulk.sql")] {
            assert!(taken_from_the_snapshot(sql).is_empty(), "{:?}", taken_from_the_snapshot(sql));
        }
    }

    /// Answers with a row of `group/other`, whatever it is asked.
    struct Confused;

    #[async_trait::async_trait]
    impl Transport for Confused {
        async fn execute(&self, _call: Call<'_>, _deadline: Instant) -> Result<Vec<String>, Failure> {
            let row = serde_json::json!({
                "path": "group/other", "migration_state": "importing", "version": 4, "retries_count": 0,
                "priority": 0, "created_at": "2026-01-01T00:00:00Z", "state_since": "2026-01-01T00:00:00Z",
            });
            let answer = serde_json::json!({ "verdict": "applied", "before": "pre_importing", "row": row });
            Ok(vec![answer.to_string()])
        }
    }

    async fn notify(path: &str) -> Result<Option<Changed>, EndpointError> {
        let store: Store<Notification> = Store::new(Writer::new(Confused));
        let path = RepositoryPath::parse(path).unwrap();
        let change = AttemptId::new(uuid::Uuid::from_u128(1));
        let deadline = Instant::now() + Duration::from_secs(1);
        let status = NotificationStatus::PreImportComplete;
        store.apply_notification(&path, status, None, None, change, deadline).await
    }

    #[tokio::test]
    async fn takes_no_row_of_another_path() {
        assert!(notify("group/other").await.unwrap().is_some());
        let error = notify("group/image").await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Undecodable, "{error}");
    }
}
