use serde::Deserialize;
use tokio::time::Instant;

use super::{
    Changed, Store,
    change::{CHANGE, changed},
    check_path,
};
use crate::{
    endpoint::{Claim, EndpointError, Manage, Purpose, Start, Statement, Write, Writer},
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

/// What letting a parked row go on came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Resumed {
    /// This row is started and committed; the registry is still to be asked.
    Started(Box<ContainerRepository>),
    /// The final step of this row is held: it is to give its slot back.
    ToHold(Box<ContainerRepository>),
    /// The kill switch is off.
    Disabled,
    /// Another start was let through at the same time, and starts go by turns now.
    PassedOver,
    /// Starts are held back.
    Held(Held),
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

/// What a claim reports. A report that lacks what its verdict is about is a defect, and no answer.
#[derive(Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
enum ClaimReport {
    #[serde(alias = "repeat")]
    Started {
        row: Box<ContainerRepository>,
    },
    Disabled,
    NoSlot,
    PassedOver,
    Held {
        held: Held,
    },
    SlotWaits,
    NoneDue,
}

impl From<ClaimReport> for Claimed {
    fn from(report: ClaimReport) -> Self {
        match report {
            ClaimReport::Started { row } => Self::Started(row),
            ClaimReport::Disabled => Self::Disabled,
            ClaimReport::NoSlot => Self::NoSlot,
            ClaimReport::PassedOver => Self::PassedOver,
            ClaimReport::Held { held } => Self::Held(held),
            ClaimReport::SlotWaits => Self::SlotWaits,
            ClaimReport::NoneDue => Self::NoneDue,
        }
    }
}

/// What letting a parked row go on reports, likewise.
#[derive(Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
enum ResumeReport {
    #[serde(alias = "repeat")]
    Started {
        row: Box<ContainerRepository>,
    },
    ToBeHeld {
        row: Box<ContainerRepository>,
    },
    Disabled,
    PassedOver,
    Held {
        held: Held,
    },
    NoneDue,
}

impl From<ResumeReport> for Resumed {
    fn from(report: ResumeReport) -> Self {
        match report {
            ResumeReport::Started { row } => Self::Started(row),
            ResumeReport::ToBeHeld { row } => Self::ToHold(row),
            ResumeReport::Disabled => Self::Disabled,
            ResumeReport::PassedOver => Self::PassedOver,
            ResumeReport::Held { held } => Self::Held(held),
            ResumeReport::NoneDue => Self::NoneDue,
        }
    }
}

/// What a start of one repository reports, likewise. No report: there is no such repository.
#[derive(Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
enum StartReport {
    #[serde(alias = "repeat")]
    Started {
        row: Box<ContainerRepository>,
    },
    WrongState {
        row: Box<ContainerRepository>,
    },
    Disabled,
    NoSlot,
    PassedOver,
    Held {
        held: Held,
    },
}

impl From<StartReport> for Started {
    fn from(report: StartReport) -> Self {
        match report {
            StartReport::Started { row } => Self::Started(row),
            StartReport::WrongState { row } => Self::WrongState(row),
            StartReport::Disabled => Self::Disabled,
            StartReport::NoSlot => Self::NoSlot,
            StartReport::PassedOver => Self::PassedOver,
            StartReport::Held { held } => Self::Held(held),
        }
    }
}

impl Store<Claim> {
    /// Takes a free slot for the row that is due next and starts it with the attempt `change`.
    ///
    /// May be repeated with the same `change` after an unknown outcome.
    pub async fn claim_next(&self, change: AttemptId, deadline: Instant) -> Result<Claimed, EndpointError> {
        let statement = Statement::repeatable_write("claim_next", CLAIM)
            .brief()
            .bind("plan", &Plan::claim().to_json())
            .bind("cause", "claim")
            .bind("operator", self.operator())
            .bind("change", change);
        fetch_claim(&self.endpoint, statement, deadline).await
    }

    /// Lets the parked row that is due longest go on with the final step, as the attempt `change`, unless that step is
    /// held.
    ///
    /// May be repeated with the same `change` after an unknown outcome.
    pub async fn resume_parked(
        &self,
        change: AttemptId,
        deadline: Instant,
    ) -> Result<Resumed, EndpointError> {
        let statement = Statement::repeatable_write("resume_parked", RESUME)
            .brief()
            .bind("plan", &Plan::resume().to_json())
            .bind("cause", "claim")
            .bind("operator", self.operator())
            .bind("change", change);
        let report: Option<ResumeReport> = self.endpoint.fetch(statement, deadline).await?.pop();
        // Without settings nothing can be due.
        Ok(report.map_or(Resumed::NoneDue, Resumed::from))
    }

    /// Lets a parked row whose final step is held give its slot back, if it still is at the same attempt and still is
    /// held.
    ///
    /// May be repeated with the same `change`. None: no such repository.
    pub async fn hold_parked(
        &self,
        row: &ContainerRepository,
        change: AttemptId,
        deadline: Instant,
    ) -> Result<Option<Changed>, EndpointError> {
        let statement = Statement::repeatable_write("hold_parked", CHANGE)
            .brief()
            .bind("precondition", "attempt")
            .bind("cause", "sweep")
            .bind("event", "sweep")
            .bind("attempt", row.attempt)
            .bind("detail", None::<&str>)
            .bind("operator", self.operator());
        changed(&self.endpoint, statement, &row.path, &Plan::hold(), change, deadline).await
    }

    /// Skips, while the kill switch is on, rows that would be started if they had not more tags than the
    /// settings allow: at most [`Store::MANY_TAGS_AT_ONCE`]. How many they were. What an earlier sending of this
    /// statement skipped, whose answer was lost, is not among them.
    pub async fn skip_many_tags(&self, deadline: Instant) -> Result<u32, EndpointError> {
        let plan = Plan::skip_seen_in(State::Default, SkipReason::TooManyTags);
        let statement = Statement::repeatable_write("skip_many_tags", MANY_TAGS)
            .bind("plan", &plan.to_json())
            .bind("detail", None::<&str>)
            .bind("cause", "sweep")
            .bind("operator", self.operator());
        Ok(self.endpoint.fetch::<u32, _>(statement, deadline).await?.pop().unwrap_or_default())
    }

    /// How many rows [`Store::skip_many_tags`] skips at once.
    pub const MANY_TAGS_AT_ONCE: u32 = 500;
}

impl Store<Start> {
    /// Takes a free slot for the row that an operator names and starts it with the attempt `change`.
    ///
    /// May be repeated with the same `change` after an unknown outcome.
    pub async fn start(
        &self,
        path: &RepositoryPath,
        change: AttemptId,
        deadline: Instant,
    ) -> Result<Started, EndpointError> {
        start_named(self, path, &Plan::start(), change, deadline).await
    }
}

impl Store<Manage> {
    /// As [`Store::start`], of an aborted row only.
    pub async fn retry(
        &self,
        path: &RepositoryPath,
        change: AttemptId,
        deadline: Instant,
    ) -> Result<Started, EndpointError> {
        start_named(self, path, &Plan::retry(), change, deadline).await
    }
}

async fn start_named<P: Purpose<Endpoint = Writer>>(
    store: &Store<P>,
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
        .bind("operator", store.operator())
        .bind("change", change);
    let report: Option<StartReport> = store.endpoint.fetch(statement, deadline).await?.pop();
    let started = report.map_or(Started::NotFound, Started::from);
    if let Started::Started(row) | Started::WrongState(row) = &started {
        check_path(row, path, Writer::NAME, "start")?;
    }
    Ok(started)
}

async fn fetch_claim(
    writer: &Writer,
    statement: Statement<Write>,
    deadline: Instant,
) -> Result<Claimed, EndpointError> {
    let report: Option<ClaimReport> = writer.fetch(statement, deadline).await?.pop();
    // Without settings nothing can be due.
    Ok(report.map_or(Claimed::NoneDue, Claimed::from))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};
    use tokio::time::Instant;
    use uuid::Uuid;

    use crate::{
        endpoint::{
            Claim, Start, Writer,
            scripted_transport::{Does, ScriptedTransport},
        },
        migration::{AttemptId, RepositoryPath},
        store::Store,
    };

    fn writer(report: &Value) -> Writer {
        let database = ScriptedTransport::default();
        for statement in ["claim_next", "start"] {
            database.set(statement, Does::Answers(report.to_string()));
        }
        Writer::new(database)
    }

    #[tokio::test(start_paused = true)]
    async fn refuses_a_report_that_lacks_what_it_is_about() {
        let (change, deadline) = (AttemptId::new(Uuid::new_v4()), Instant::now() + Duration::from_secs(9));
        let path = RepositoryPath::parse("group/image").unwrap();
        for report in [
            json!({"verdict": "started", "row": null}),
            json!({"verdict": "repeat"}),
            json!({"verdict": "held", "held": null}),
            json!({"verdict": "wrong_state", "row": null}),
            json!({"verdict": "unheard_of", "row": null}),
        ] {
            let claimed = Store::<Claim>::new(writer(&report)).claim_next(change, deadline).await;
            assert!(claimed.is_err(), "{report}: {claimed:?}");
            let started = Store::<Start>::new(writer(&report)).start(&path, change, deadline).await;
            assert!(started.is_err(), "{report}: {started:?}");
        }
    }
}
