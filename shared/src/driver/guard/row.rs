use std::time::Duration;

use tokio::time::Instant;

use super::summary::{Found, Looked};
use crate::{
    driver::{
        Filled, Patience, StepStatus,
        ask::{TO_RECORD, ask_registry, ask_registry_again},
        fill_slot, new_change,
    },
    endpoint::{Claim, EndpointError, Guard},
    migration::{
        Cancelation, ContainerRepository, Finding, GuardDecision, Plan, Remedy, Stuck, canceled_decision,
        guard_decision,
    },
    registry::{CancelAnswer, RegistryClient, StatusAnswer},
    store::{AskingAgain, Noted, Store},
    telemetry::as_text,
};

/// The registry is asked how a repository stands no longer than until this much of the deadline is left: to
/// record what it says, to ask it for a step, and to record its answer to that. What is begun too late would be
/// committed and not asked for.
const TO_ACT: Duration = TO_RECORD.saturating_mul(2);

/// A remedy that was applied.
struct Applied {
    found: Found,
    frees_slot: bool,
}

impl Applied {
    const fn found(finding: Finding) -> Self {
        Self { found: Found::Finding(finding), frees_slot: false }
    }
}

/// Looks after one row that was leased.
pub(super) struct Caretaker<'a> {
    /// The writer, for decisions.
    pub store: &'a Store<Guard>,
    /// The writer, for filling the slots that are freed.
    pub claims: &'a Store<Claim>,
    pub registry: &'a RegistryClient,
    /// How a registry at its limit is met.
    pub patience: Patience,
}

impl Caretaker<'_> {
    /// Asks the registry about one row and acts on what it says. Whatever goes wrong concerns this row only.
    pub(super) async fn look_after(&self, stuck: &Stuck, deadline: Instant) -> Looked {
        let path = &stuck.row.path;
        let ask_until = deadline.checked_sub(TO_ACT).unwrap_or(deadline);
        if Instant::now() >= ask_until {
            return Looked { found: Found::OutOfTime, filled: false };
        }
        let decided = self.decide(stuck, ask_until).await;
        if matches!(decided, Ok(Some((Remedy::Leave(Finding::Unanswered), _)))) && Instant::now() >= ask_until
        {
            // It was us who did not wait.
            return Looked { found: Found::OutOfTime, filled: false };
        }
        let (applied, detail) = match decided {
            Ok(Some((remedy, detail))) => {
                (self.apply(stuck, remedy, detail.as_deref(), deadline).await, detail)
            }
            Ok(None) => (Ok(Applied { found: Found::MovedOn, frees_slot: false }), None),
            Err(error) => (Err(error), None),
        };
        let applied = match applied {
            Ok(applied) => applied,
            Err(error) => {
                tracing::error!(%path, %error, "could not reconcile a repository");
                Applied { found: Found::Failed, frees_slot: false }
            }
        };
        tracing::info!(
            %path,
            state = %stuck.row.migration_state,
            found = applied.found.name(),
            detail,
            "reconciled a repository"
        );
        let filled = applied.frees_slot && Instant::now() < ask_until && self.fill(deadline).await;
        Looked { found: applied.found, filled }
    }

    /// What is to be done about a row, with what the registry said of it. None: it has moved on.
    async fn decide(
        &self,
        stuck: &Stuck,
        ask_until: Instant,
    ) -> Result<Option<(Remedy, Option<String>)>, EndpointError> {
        let path = &stuck.row.path;
        let answer = self.registry.status(path, ask_until).await;
        if let StatusAnswer::NoAnswer { reason } = &answer {
            tracing::warn!(%path, reason, counter = "guard_unanswered", "the registry did not answer a status request");
        }
        let idle = answer.idle();
        let (view, detail) = answer.view();
        match guard_decision(stuck, view, idle) {
            GuardDecision::Apply(remedy) => Ok(Some((remedy, detail))),
            GuardDecision::Cancel => self.cancel(stuck, ask_until).await,
        }
    }

    /// Noted before, so that it counts as a timeout whoever tells of it first.
    async fn cancel(
        &self,
        stuck: &Stuck,
        ask_until: Instant,
    ) -> Result<Option<(Remedy, Option<String>)>, EndpointError> {
        let path = &stuck.row.path;
        match self.store.note_canceling(&stuck.row, ask_until).await? {
            Noted::Noted => {}
            Noted::Superseded | Noted::Disabled => return Ok(None),
        }
        let answer = self.registry.cancel(path, false, ask_until).await;
        tracing::warn!(%path, answer = as_text(&answer), "asked the registry to cancel a step past its time");
        let (answer, detail) = match answer {
            CancelAnswer::Accepted => (Cancelation::Accepted, Some("canceled past its time".to_owned())),
            CancelAnswer::NotFound => (Cancelation::KnowsNothing, None),
            CancelAnswer::CannotBeCanceled { previous: Some(status) } => (Cancelation::Stands(status), None),
            CancelAnswer::CannotBeCanceled { previous: None }
            | CancelAnswer::Native
            | CancelAnswer::NoAnswer { .. }
            | CancelAnswer::Refused { .. } => (Cancelation::NoAnswer, None),
        };
        Ok(Some((canceled_decision(stuck, answer), detail)))
    }

    async fn apply(
        &self,
        stuck: &Stuck,
        remedy: Remedy,
        detail: Option<&str>,
        deadline: Instant,
    ) -> Result<Applied, EndpointError> {
        match remedy {
            Remedy::Leave(finding) => Ok(Applied::found(finding)),
            Remedy::Record { finding, plan } => {
                self.record(&stuck.row, finding, &plan, detail, deadline).await
            }
            Remedy::AskAgain => self.ask_again(&stuck.row, deadline).await,
        }
    }

    /// Commits, and only then asks the registry where that began an attempt.
    async fn record(
        &self,
        row: &ContainerRepository,
        finding: Finding,
        plan: &Plan,
        detail: Option<&str>,
        deadline: Instant,
    ) -> Result<Applied, EndpointError> {
        let change = new_change();
        let changed = self.store.record_decision(row, plan, detail, change, deadline).await?;
        let made = changed.filter(|changed| changed.verdict.took_effect());
        let Some(changed) = made else { return Ok(Applied { found: Found::MovedOn, frees_slot: false }) };
        let row = changed.row;
        let mut applied = Applied::found(finding);
        if row.migration_state.is_active() && row.attempt == Some(change) {
            let asked = ask_registry(self.store, self.registry, row, self.patience, deadline).await?;
            applied.frees_slot = frees_slot(asked.standing);
        } else {
            applied.frees_slot = !row.holds_slot();
        }
        Ok(applied)
    }

    /// Asks for the row's step with its own attempt. Noted before, so that the step's time counts from now; and
    /// after, once the registry has accepted, so that what it reports next is known to be this attempt's.
    async fn ask_again(
        &self,
        row: &ContainerRepository,
        deadline: Instant,
    ) -> Result<Applied, EndpointError> {
        match self.store.note_asking_again(row, AskingAgain::Asking, deadline).await? {
            Noted::Noted => {}
            Noted::Superseded | Noted::Disabled => {
                return Ok(Applied { found: Found::MovedOn, frees_slot: false });
            }
        }
        let asked = ask_registry_again(self.store, self.registry, row.clone(), deadline).await?;
        if asked.standing == StepStatus::Running && asked.row.version == row.version {
            self.store.note_asking_again(row, AskingAgain::Accepted, deadline).await?;
        }
        let finding = match asked.standing {
            StepStatus::Unknown => Finding::Unanswered,
            StepStatus::Running
            | StepStatus::Settled
            | StepStatus::Postponed
            | StepStatus::NotReady
            | StepStatus::Aborted
            | StepStatus::Unwelcome
            | StepStatus::NotTheRegistry
            | StepStatus::MovedOn => Finding::AskedAgain,
        };
        Ok(Applied { frees_slot: frees_slot(asked.standing), ..Applied::found(finding) })
    }

    async fn fill(&self, deadline: Instant) -> bool {
        match fill_slot(self.claims, self.registry, self.patience, deadline).await {
            Ok(filled) => filled == Filled::Running,
            Err(error) => {
                tracing::error!(%error, "a freed slot could not be filled");
                false
            }
        }
    }
}

/// Whether asking the registry has ended the repository's stay in its slot. Where the registry has no room,
/// nobody else need be started in it now.
const fn frees_slot(standing: StepStatus) -> bool {
    match standing {
        StepStatus::Settled | StepStatus::Aborted => true,
        StepStatus::Running
        | StepStatus::Unknown
        | StepStatus::Postponed
        | StepStatus::NotReady
        | StepStatus::Unwelcome
        | StepStatus::NotTheRegistry
        | StepStatus::MovedOn => false,
    }
}
