use serde::Deserialize;
use tokio::time::Instant;

use super::Store;
use crate::{
    endpoint::{Claim, EndpointError, ErrorClass, Start, Statement, Write, Writer},
    migration::{AttemptId, ContainerRepository, Plan, RepositoryPath},
};

const CLAIM: &str = concat!(
    include_str!("sql/claim.sql"),
    include_str!("sql/started.sql"),
    include_str!("sql/claim_report.sql")
);
const START: &str = concat!(
    include_str!("sql/start.sql"),
    include_str!("sql/started.sql"),
    include_str!("sql/start_report.sql")
);
const RESUME: &str = concat!(
    include_str!("sql/resume.sql"),
    include_str!("sql/started.sql"),
    include_str!("sql/resume_report.sql")
);

/// What a claim came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Claimed {
    /// This row is started and committed; the registry is still to be asked.
    Started(Box<ContainerRepository>),
    /// The kill switch is off.
    Disabled,
    /// Every slot within the capacity is taken.
    NoSlot,
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
    /// Every slot within the capacity is taken.
    NoSlot,
    /// No such repository.
    NotFound,
}

#[derive(Deserialize)]
struct Report {
    verdict: ReportedVerdict,
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
    pub async fn resume_parked(&self, change: AttemptId, deadline: Instant) -> Result<Claimed, EndpointError> {
        let statement = Statement::repeatable_write("resume_parked", RESUME)
            .bind("plan", &Plan::resume().to_json())
            .bind("cause", "claim")
            .bind("change", change);
        fetch_report(&self.endpoint, statement, deadline).await.map(claimed)
    }
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
        let statement = Statement::repeatable_write("start", START)
            .bind("path", path)
            .bind("plan", &Plan::claim().to_json())
            .bind("cause", "operator")
            .bind("change", change);
        let report = fetch_report(&self.endpoint, statement, deadline).await?;
        Ok(match report {
            Some(Report { verdict: ReportedVerdict::Started | ReportedVerdict::Repeat, row: Some(row) }) => {
                Started::Started(row)
            }
            Some(Report { verdict: ReportedVerdict::WrongState, row: Some(row) }) => Started::WrongState(row),
            Some(Report { verdict: ReportedVerdict::Disabled, .. }) => Started::Disabled,
            Some(Report { verdict: ReportedVerdict::NoSlot, .. }) => Started::NoSlot,
            Some(_) | None => Started::NotFound,
        })
    }
}

fn claimed(report: Option<Report>) -> Claimed {
    match report {
        Some(Report { verdict: ReportedVerdict::Started | ReportedVerdict::Repeat, row: Some(row) }) => {
            Claimed::Started(row)
        }
        Some(Report { verdict: ReportedVerdict::Disabled, .. }) => Claimed::Disabled,
        Some(Report { verdict: ReportedVerdict::NoSlot, .. }) => Claimed::NoSlot,
        Some(_) | None => Claimed::NoneDue,
    }
}

/// A claim that is sent again while its first sending still runs fails on the unique `change`: by then the
/// first one is committed, and the same statement once more finds what it did.
async fn fetch_report(
    writer: &Writer,
    statement: Statement<Write>,
    deadline: Instant,
) -> Result<Option<Report>, EndpointError> {
    let again = statement.clone();
    let reports = match writer.fetch::<Report, _>(statement, deadline).await {
        Err(error) if error.class() == ErrorClass::Constraint => writer.fetch(again, deadline).await?,
        reports => reports?,
    };
    Ok(reports.into_iter().next())
}
