use serde::Deserialize;
use tokio::time::Instant;

use super::{Store, check_path};
use crate::{
    endpoint::{Claim, EndpointError, Manage, Start, Statement, Write, Writer},
    migration::{AttemptId, ContainerRepository, Held, Plan, RepositoryPath, SkipReason, State},
};

const CLAIM: &str = concat!(
    include_str!("sql/brake.sql"),
    include_str!("sql/room.sql"),
    include_str!("sql/claim.sql"),
    include_str!("sql/let_through.sql"),
    include_str!("sql/started.sql"),
    include_str!("sql/claim_report.sql")
);
const START: &str = concat!(
    include_str!("sql/brake.sql"),
    include_str!("sql/room.sql"),
    include_str!("sql/start.sql"),
    include_str!("sql/let_through.sql"),
    include_str!("sql/started.sql"),
    include_str!("sql/start_report.sql")
);
const RESUME: &str = concat!(
    include_str!("sql/brake.sql"),
    include_str!("sql/resume.sql"),
    include_str!("sql/let_through.sql"),
    include_str!("sql/started.sql"),
    include_str!("sql/resume_report.sql")
);
const MANY_TAGS: &str = concat!(
    include_str!("sql/many_tags.sql"),
    include_str!("sql/bulk.sql"),
    include_str!("sql/many_tags_report.sql")
);

/// What a claim came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Claimed {
    /// This row is started and committed; the registry is still to be asked.
    Started(Box<ContainerRepository>),
    /// The kill switch is off.
    Disabled,
    /// As many as the capacity are in progress. Whoever frees a slot claims it after that.
    NoSlot,
    /// What is free is just being taken by other claims. A slot may have been freed meanwhile.
    PassedOver,
    /// Starts are held back.
    Held(Held),
    /// What is free of them stays empty for the waiting time.
    SlotWaits,
    /// No row is due.
    NoneDue,
}

/// What an operator's start came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Started {
    /// This row is started and committed; the registry is still to be asked.
    Started(Box<ContainerRepository>),
    /// The row's state does not allow a start.
    WrongState(Box<ContainerRepository>),
    /// The kill switch is off.
    Disabled,
    /// As many as the capacity are in progress.
    NoSlot,
    /// Another start was let through at the same time, and starts go by turns now.
    PassedOver,
    /// Starts are held back.
    Held(Held),
    /// No such repository.
    NotFound,
}

#[derive(Deserialize)]
struct Report {
    verdict: ReportedVerdict,
    #[serde(default)]
    held: Option<Held>,
    row: Option<Box<ContainerRepository>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ReportedVerdict {
    Repeat,
    Started,
    WrongState,
    Disabled,
    NoSlot,
    PassedOver,
    Held,
    SlotWaits,
    NoneDue,
}

impl Store<Claim> {
    /// Takes a free slot for the row that is due next and starts it with the attempt `change`.
    ///
    /// May be repeated with the same `change` after an unknown outcome.
    ///
    /// # Errors
    /// [`EndpointError`] when the writer did not answer.
    pub async fn claim_next(&self, change: AttemptId, deadline: Instant) -> Result<Claimed, EndpointError> {
        let statement = Statement::repeatable_write("claim_next", CLAIM)
            .brief()
            .bind("plan", &Plan::claim().to_json())
            .bind("cause", "claim")
            .bind("change", change);
        fetch_report(&self.endpoint, statement, deadline).await.map(claimed)
    }

    /// Lets the parked row that is due longest go on with the final step, as the attempt `change`.
    ///
    /// May be repeated with the same `change` after an unknown outcome.
    ///
    /// # Errors
    /// [`EndpointError`] when the writer did not answer.
    pub async fn resume_parked(
        &self,
        change: AttemptId,
        deadline: Instant,
    ) -> Result<Claimed, EndpointError> {
        let statement = Statement::repeatable_write("resume_parked", RESUME)
            .brief()
            .bind("plan", &Plan::resume().to_json())
            .bind("cause", "claim")
            .bind("change", change);
        fetch_report(&self.endpoint, statement, deadline).await.map(claimed)
    }

    /// Skips, while the kill switch is on, rows that would be started if they had not more tags than the
    /// settings allow: at most [`Store::MANY_TAGS_AT_ONCE`]. How many they were. What an earlier sending of this
    /// statement skipped, whose answer was lost, is not among them.
    ///
    /// # Errors
    /// [`EndpointError`] when the writer did not answer.
    pub async fn skip_many_tags(&self, deadline: Instant) -> Result<u32, EndpointError> {
        let plan = Plan::skip_seen_in(State::Default, SkipReason::TooManyTags);
        let statement = Statement::repeatable_write("skip_many_tags", MANY_TAGS)
            .bind("plan", &plan.to_json())
            .bind("detail", None::<&str>)
            .bind("cause", "sweep");
        Ok(self.endpoint.fetch::<u32, _>(statement, deadline).await?.pop().unwrap_or_default())
    }

    /// How many rows [`Store::skip_many_tags`] skips at once.
    pub const MANY_TAGS_AT_ONCE: u32 = 500;
}

impl Store<Start> {
    /// Takes a free slot for the row that an operator names and starts it with the attempt `change`.
    ///
    /// May be repeated with the same `change` after an unknown outcome.
    ///
    /// # Errors
    /// [`EndpointError`] when the writer did not answer.
    pub async fn start(
        &self,
        path: &RepositoryPath,
        change: AttemptId,
        deadline: Instant,
    ) -> Result<Started, EndpointError> {
        start_named(&self.endpoint, path, &Plan::claim(), change, deadline).await
    }
}

impl Store<Manage> {
    /// As [`Store::start`], of an aborted row only.
    ///
    /// # Errors
    /// [`EndpointError`] when the writer did not answer.
    pub async fn retry(
        &self,
        path: &RepositoryPath,
        change: AttemptId,
        deadline: Instant,
    ) -> Result<Started, EndpointError> {
        start_named(&self.endpoint, path, &Plan::retry(), change, deadline).await
    }
}

async fn start_named(
    writer: &Writer,
    path: &RepositoryPath,
    plan: &Plan,
    change: AttemptId,
    deadline: Instant,
) -> Result<Started, EndpointError> {
    let statement = Statement::repeatable_write("start", START)
        .brief()
        .bind("path", path)
        .bind("plan", &plan.to_json())
        .bind("cause", "operator")
        .bind("change", change);
    let report = fetch_report(writer, statement, deadline).await?;
    if let Some(Report { row: Some(row), .. }) = &report {
        check_path(row, path, Writer::NAME, "start")?;
    }
    Ok(match report {
        Some(Report {
            verdict: ReportedVerdict::Started | ReportedVerdict::Repeat, row: Some(row), ..
        }) => Started::Started(row),
        Some(Report { verdict: ReportedVerdict::WrongState, row: Some(row), .. }) => Started::WrongState(row),
        Some(Report { verdict: ReportedVerdict::Disabled, .. }) => Started::Disabled,
        Some(Report { verdict: ReportedVerdict::NoSlot, .. }) => Started::NoSlot,
        Some(Report { verdict: ReportedVerdict::PassedOver, .. }) => Started::PassedOver,
        Some(Report { verdict: ReportedVerdict::Held, held: Some(held), .. }) => Started::Held(held),
        Some(_) | None => Started::NotFound,
    })
}

fn claimed(report: Option<Report>) -> Claimed {
    match report {
        Some(Report {
            verdict: ReportedVerdict::Started | ReportedVerdict::Repeat, row: Some(row), ..
        }) => Claimed::Started(row),
        Some(Report { verdict: ReportedVerdict::Disabled, .. }) => Claimed::Disabled,
        Some(Report { verdict: ReportedVerdict::NoSlot, .. }) => Claimed::NoSlot,
        Some(Report { verdict: ReportedVerdict::PassedOver, .. }) => Claimed::PassedOver,
        Some(Report { verdict: ReportedVerdict::Held, held: Some(held), .. }) => Claimed::Held(held),
        Some(Report { verdict: ReportedVerdict::SlotWaits, .. }) => Claimed::SlotWaits,
        Some(_) | None => Claimed::NoneDue,
    }
}

async fn fetch_report(
    writer: &Writer,
    statement: Statement<Write>,
    deadline: Instant,
) -> Result<Option<Report>, EndpointError> {
    Ok(writer.fetch(statement, deadline).await?.into_iter().next())
}
