use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    Changed, Store,
    change::{CHANGE, changed},
};
use crate::{
    endpoint::{EndpointError, Guard, Manage, Purpose, Served, StaleScan, Statement, Writer},
    migration::{AttemptId, ContainerRepository, Plan, RepositoryPath, Stuck, foreign},
};

const SCAN: &str = concat!(
    include_str!("sql/guard_scan.sql"),
    include_str!("sql/guard_due.sql"),
    include_str!("sql/guard_scan_limit.sql")
);
const OVERDUE_LINE: &str = include_str!("sql/overdue_line.sql");
const LEASE: &str = concat!(
    include_str!("sql/guard_lease.sql"),
    include_str!("sql/guard_due.sql"),
    include_str!("sql/guard_leased.sql")
);
const RELEASE: &str = include_str!("sql/guard_release.sql");
const NOTE: &str = concat!(include_str!("sql/brake.sql"), include_str!("sql/guard_note.sql"));

/// What the history says of asking once more for the step of a row's attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskingAgain {
    /// The registry is about to be asked. From now on the step's time is counted.
    Asking,
    /// The registry has accepted. What it reports from now on is surely of this attempt.
    Accepted,
}

impl AskingAgain {
    const fn name(self) -> &'static str {
        match self {
            Self::Asking => "asking",
            Self::Accepted => "accepted",
        }
    }
}

/// Whether a note was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noted {
    /// It stands in the history.
    Noted,
    /// The row has moved on: there is nothing to ask for.
    Superseded,
    /// The kill switch is off, or starts are held back: nothing is to be started.
    Disabled,
}

/// Whoever leases rows: the same lease is given the same rows again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease(Uuid);

impl Lease {
    /// The lease of somebody new.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// Whose it is.
    #[must_use]
    pub const fn holder(self) -> Uuid {
        self.0
    }
}

/// When a leased row is to be looked at next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NextLook {
    /// Which row.
    pub path: RepositoryPath,
    /// When. None: it stays due.
    pub next_check_at: Option<Timestamp>,
}

/// What an endpoint knows of rows that are due.
#[derive(Deserialize)]
struct Hints {
    newest_line: Option<i64>,
    paths: Vec<RepositoryPath>,
}

impl Store<StaleScan> {
    /// The rows that are due to be looked at, the longest due first; at most `limit`. Only a hint, as the reader has
    /// it or, where it cannot serve or may not, or lacks the history's line `at_least`, the writer:
    /// [`Store::lease_stuck`] decides.
    ///
    /// # Errors
    /// [`EndpointError`] when neither endpoint that may answer did.
    pub async fn scan_stuck(
        &self,
        limit: u32,
        at_least: Option<i64>,
        deadline: Instant,
    ) -> Result<Served<Vec<RepositoryPath>>, EndpointError> {
        let statement = Statement::read("scan_stuck", SCAN).brief().bind("limit", limit);
        let newest_line = |hints: &[Hints]| hints.first()?.newest_line;
        let hints =
            self.endpoint.fetch_at_least(&StaleScan::RULE, statement, at_least, newest_line, deadline);
        Ok(hints.await?.map(|hints| hints.into_iter().flat_map(|hints| hints.paths).collect()))
    }
}

impl Store<Guard> {
    /// The newest line of the history that every reader which does not stand still has by now: it is ten seconds old.
    /// None: there is none so old.
    pub async fn overdue_line(&self, deadline: Instant) -> Result<Option<i64>, EndpointError> {
        let statement = Statement::read("overdue_line", OVERDUE_LINE).brief();
        Ok(self.endpoint.fetch(statement, deadline).await?.pop())
    }

    /// Leases those of `paths` that really are due: for 15 seconds nobody else is given them. May be repeated
    /// with the same `lease`, which is given them again.
    pub async fn lease_stuck(
        &self,
        paths: &[RepositoryPath],
        lease: Lease,
        deadline: Instant,
    ) -> Result<Vec<Stuck>, EndpointError> {
        let paths = serde_json::to_value(paths).unwrap_or_default();
        let statement = Statement::repeatable_write("lease_stuck", LEASE).brief().bind("paths", &paths);
        self.endpoint.fetch(statement.bind("lease", lease.0), deadline).await
    }

    /// Ends the leases of rows that were looked at, or that there was no time for, and says when to look next.
    /// Rows that have been changed since are not touched. Which ones were released.
    ///
    /// # Errors
    /// [`EndpointError`] when the writer did not answer: then the leases end by themselves.
    pub async fn release_stuck(
        &self,
        looks: &[NextLook],
        lease: Lease,
        deadline: Instant,
    ) -> Result<Vec<RepositoryPath>, EndpointError> {
        let looks = serde_json::to_value(looks).unwrap_or_default();
        let statement = Statement::repeatable_write("release_stuck", RELEASE).brief().bind("looks", &looks);
        self.endpoint.fetch(statement.bind("lease", lease.0), deadline).await
    }

    /// Records what the guard decided on a row that it leased, if the row still is at the same attempt.
    ///
    /// Repeatable with the same `change`, as [`Store::record_answer`]. None: no such repository.
    ///
    /// # Errors
    /// [`EndpointError`] when the writer did not answer with a verdict.
    pub async fn record_decision(
        &self,
        row: &ContainerRepository,
        plan: &Plan,
        detail: Option<&str>,
        change: AttemptId,
        deadline: Instant,
    ) -> Result<Option<Changed>, EndpointError> {
        let statement = Statement::repeatable_write("record_decision", CHANGE)
            .brief()
            .bind("precondition", "attempt")
            .bind("cause", "guard")
            .bind("event", "guard")
            .bind("attempt", row.attempt)
            .bind("detail", detail.map(foreign::keep))
            .bind("operator", self.operator());
        changed(&self.endpoint, statement, &row.path, plan, change, deadline).await
    }

    /// Notes in the history that the registry is, or was, asked once more for the step of the row's attempt.
    pub async fn note_asking_again(
        &self,
        row: &ContainerRepository,
        note: AskingAgain,
        deadline: Instant,
    ) -> Result<Noted, EndpointError> {
        self::note(self, row, ("ask_again", note.name()), "guard", deadline).await
    }

    /// Notes in the history that the registry is about to be asked to cancel the row's step, past its time. A
    /// notification of that which is faster than [`Store::record_decision`] counts it as that does.
    pub async fn note_canceling(
        &self,
        row: &ContainerRepository,
        deadline: Instant,
    ) -> Result<Noted, EndpointError> {
        self::note(self, row, CANCELING, "guard", deadline).await
    }
}

impl Store<Manage> {
    /// Notes in the history that the registry is about to be asked to cancel the row's step, since an operator wants it.
    /// A notification of that is then no sign of anything else.
    pub async fn note_canceling(
        &self,
        row: &ContainerRepository,
        deadline: Instant,
    ) -> Result<Noted, EndpointError> {
        note(self, row, CANCELING, "operator", deadline).await
    }
}

/// The event and what is noted of it.
const CANCELING: (&str, &str) = ("cancel", "canceling");

async fn note<P: Purpose<Endpoint = Writer>>(
    store: &Store<P>,
    row: &ContainerRepository,
    (event, note): (&str, &str),
    cause: &str,
    deadline: Instant,
) -> Result<Noted, EndpointError> {
    let statement = Statement::repeatable_write("note", NOTE)
        .brief()
        .bind("path", &row.path)
        .bind("version", row.version)
        .bind("attempt", row.attempt)
        .bind("event", event)
        .bind("note", note)
        .bind("cause", cause)
        .bind("operator", store.operator());
    let noted = store.endpoint.fetch(statement, deadline).await?;
    Ok(noted.into_iter().next().unwrap_or(Noted::Superseded))
}
