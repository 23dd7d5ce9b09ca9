//! What the guard does about a row that seems stuck: ask first, abort last.

mod due;
mod finding;
mod stuck;

#[cfg(test)]
mod table;
#[cfg(test)]
mod tests;

pub use due::{Due, FIRST_LOOK, LeaseState, LookTime, Looker, first_check, first_look, who_looks};
pub use finding::{Cancelation, Finding, GuardDecision, Remedy};
pub use stuck::{GuardSettings, Stuck};

use std::time::Duration;

use super::{AFTER_CANCEL, Event, Plan, RegistryStatus, RegistryView, Settled, State, Step, plan::give_back};

/// Decides on a row that was leased, by what the registry says of it now: how it stands, and for how long its running
/// step has finished nothing (`idle`; None: it does not say). The plan of a remedy holds for the state the row was
/// leased in: what has moved on meanwhile is left alone.
#[must_use]
pub fn guard_decision(stuck: &Stuck, view: RegistryView, idle: Option<Duration>) -> GuardDecision {
    let running = match view {
        RegistryView::Says(status) => status.running_step(),
        RegistryView::KnowsNothing | RegistryView::NoAnswer => None,
    };
    match running {
        // Healthy, whoever started it, until its time is over and it stands still.
        Some(step)
            if stuck.row.migration_state == step.running_state()
                && stuck.is_past_timeout(step)
                && !stuck.settings.steps.makes_progress(idle) =>
        {
            GuardDecision::Cancel
        }
        Some(_) | None => GuardDecision::Apply(remedy(stuck, view)),
    }
}

/// Decides on a row whose step the registry was asked to cancel, by what it said to that.
#[must_use]
pub fn canceled_decision(stuck: &Stuck, answer: Cancelation) -> Remedy {
    let state = stuck.row.migration_state;
    match answer {
        Cancelation::Accepted => {
            Remedy::Record { finding: Finding::TimedOut, plan: Plan::canceled_in(state, AFTER_CANCEL) }
        }
        Cancelation::Stands(status) => remedy(stuck, RegistryView::Says(status)),
        Cancelation::KnowsNothing => remedy(stuck, RegistryView::KnowsNothing),
        Cancelation::NoAnswer => remedy(stuck, RegistryView::NoAnswer),
    }
}

fn remedy(stuck: &Stuck, view: RegistryView) -> Remedy {
    let status = match view {
        RegistryView::NoAnswer => return Remedy::Leave(Finding::Unanswered),
        RegistryView::KnowsNothing => return restart(stuck),
        RegistryView::Says(status) => status,
    };
    let state = stuck.row.migration_state;
    let record = |finding, events: &[Event]| Remedy::Record { finding, plan: Plan::seen_in(state, events) };
    match status {
        RegistryStatus::Native => record(Finding::Native, &[Event::AlreadyMigrated(Settled::NativeImport)]),
        RegistryStatus::PreImportInProgress if state == State::PreImporting => {
            Remedy::Leave(Finding::Running)
        }
        RegistryStatus::PreImportInProgress => record(Finding::Adopted, &[Event::Adopt(Step::Pre)]),
        RegistryStatus::ImportInProgress if state == State::Importing => Remedy::Leave(Finding::Running),
        RegistryStatus::ImportInProgress => record(Finding::Adopted, &[Event::Adopt(Step::Final)]),
        RegistryStatus::PreImportComplete => pre_import_complete(stuck),
        RegistryStatus::ImportComplete => record(Finding::Finished, &[Event::FinishImport]),
        RegistryStatus::PreImportFailed | RegistryStatus::ImportFailed => ended_badly(stuck, true),
        RegistryStatus::PreImportCanceled | RegistryStatus::ImportCanceled => ended_badly(stuck, false),
    }
}

fn pre_import_complete(stuck: &Stuck) -> Remedy {
    let state = stuck.row.migration_state;
    let enabled = stuck.settings.enabled && !stuck.is_held;
    match state {
        State::PreImporting => {
            let plan = Plan::seen_in(state, &[Event::FinishPreImport, Event::StartImport])
                .or_when_disabled(|_| vec![Event::FinishPreImport]);
            Remedy::Record { finding: if enabled { Finding::Promoted } else { Finding::Parked }, plan }
        }
        // The final step was committed and never asked for.
        State::Importing => ask_again(stuck, Step::Final),
        State::PreImportDone
        | State::Default
        | State::ImportDone
        | State::ImportAborted
        | State::ImportSkipped => {
            let plan = Plan::seen_in(state, &[Event::StartImport]).or_when_disabled(|_| vec![]);
            Remedy::Record { finding: if enabled { Finding::Resumed } else { Finding::Parked }, plan }
        }
    }
}

/// A step failed or was canceled: exactly as its notification would have it, unless the registry may mean an
/// attempt that is long accounted for.
fn ended_badly(stuck: &Stuck, counted: bool) -> Remedy {
    let state = stuck.row.migration_state;
    match state {
        State::PreImporting if stuck.may_be_of_an_earlier_attempt() => ask_again(stuck, Step::Pre),
        State::Importing if stuck.may_be_of_an_earlier_attempt() => ask_again(stuck, Step::Final),
        State::PreImporting
        | State::Importing
        | State::PreImportDone
        | State::Default
        | State::ImportDone
        | State::ImportAborted
        | State::ImportSkipped => {
            let plan = Plan::seen_in(state, &[Event::AbortImport { counted }]);
            if counted {
                Remedy::Record { finding: Finding::Failed, plan }
            } else {
                Remedy::Record { finding: Finding::Canceled, plan: plan.not_before(AFTER_CANCEL) }
            }
        }
    }
}

/// The registry was not asked for the row's step, or not as far as it knows.
fn ask_again(stuck: &Stuck, step: Step) -> Remedy {
    let state = stuck.row.migration_state;
    // Adopted from nobody known, a row has no attempt to ask with and needs a new one.
    let start = match step {
        Step::Pre => Event::StartPreImport,
        Step::Final => Event::StartImport,
    };
    let plan = Plan::seen_in(state, &[start]).or_when_disabled(give_back);
    let may_start = stuck.settings.enabled && !(step == Step::Final && stuck.is_held);
    match stuck.row.attempt {
        _ if !may_start => Remedy::Record { finding: Finding::GivenBack, plan },
        Some(_) => Remedy::AskAgain,
        None => Remedy::Record { finding: Finding::Restarted, plan },
    }
}

/// The registry knows nothing of an import: it begins anew.
fn restart(stuck: &Stuck) -> Remedy {
    let state = stuck.row.migration_state;
    let enabled = stuck.settings.enabled;
    match state {
        State::PreImportDone => {
            let events = [Event::StartImport, Event::StartPreImport];
            let plan = Plan::seen_in(state, &events).or_when_disabled(|_| vec![]);
            Remedy::Record { finding: if enabled { Finding::Restarted } else { Finding::Parked }, plan }
        }
        State::PreImporting
        | State::Importing
        | State::Default
        | State::ImportDone
        | State::ImportAborted
        | State::ImportSkipped => {
            let plan = Plan::seen_in(state, &[Event::StartPreImport]).or_when_disabled(give_back);
            Remedy::Record { finding: if enabled { Finding::Restarted } else { Finding::GivenBack }, plan }
        }
    }
}
