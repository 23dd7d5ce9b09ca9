//! What the registry's answer to a start means for the row. No I/O, no clock.

use std::time::Duration;

use rand::RngExt;
use serde::Serialize;

use crate::{
    migration::{AFTER_CANCEL, Event, Plan, RegistryStatus, Settled, Signal, Step, foreign},
    registry::{StartAnswer, StatusAnswer},
    store::Answered,
};

/// Whatever stands where the registry should be: the repository is left in peace for this long.
const AFTER_FOREIGN_ANSWER: Duration = Duration::from_secs(5);

/// Nothing is wrong with the repository, but with our own side or the way to the registry: it is left in peace
/// for this long.
const AFTER_REFUSAL: Duration = Duration::from_secs(60);

/// How a repository stands once the registry has been asked to run a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// The registry runs the step, and will tell how it ended.
    Running,
    /// Nobody knows whether the registry runs it. The row stays; the registry will be asked.
    Unknown,
    /// There was nothing to import.
    Settled,
    /// The registry surely did not start it, and would start no other now; it will be asked again.
    Postponed,
    /// The registry surely did not start it, and may start others; it will be asked again.
    NotReady,
    /// The registry refuses this repository.
    Aborted,
    /// The registry refuses the driver, whichever repository it asks for.
    Unwelcome,
    /// It was not the registry that answered. Nothing was started; it will be asked again.
    NotTheRegistry,
    /// The row had moved on before the answer could be recorded: a notification was faster.
    MovedOn,
}

impl StepStatus {
    /// Whether the registry would not start others either, as far as can be told: then nothing more is asked for.
    pub(super) const fn ends_the_sweep(self) -> bool {
        match self {
            Self::Unknown | Self::Postponed | Self::Unwelcome | Self::NotTheRegistry => true,
            Self::Running | Self::Settled | Self::NotReady | Self::Aborted | Self::MovedOn => false,
        }
    }
}

/// What the registry's answer to a start asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Nothing to record.
    Stay(StepStatus),
    /// Record it.
    Record {
        /// What becomes of the row.
        plan: Plan,
        /// How it then stands.
        standing: StepStatus,
        /// What was said with it.
        detail: Option<String>,
    },
    /// Record that the step is the pre step again, with a new attempt, and ask for that.
    StartPreAgain(Plan),
}

/// Interprets the registry's answer to a request for `step`. `jitter`, from 0 to 1, spreads the repetitions of
/// many so that they do not come back together.
#[must_use]
pub fn decide(step: Step, answer: &StartAnswer, jitter: f64) -> Decision {
    let record = |plan, standing| Decision::Record { plan, standing, detail: None };
    let wait = |least: Duration| {
        let delay = least + least.min(Duration::from_secs(2)).mul_f64(jitter);
        Plan::event(Event::StartRefused).not_before(delay)
    };
    match answer {
        StartAnswer::Accepted => Decision::Stay(StepStatus::Running),
        // A claim alone proves nothing.
        StartAnswer::Unknown { .. } | StartAnswer::ClaimsMigrated => Decision::Stay(StepStatus::Unknown),
        StartAnswer::AlreadyMigrated => {
            record(Plan::event(Event::AlreadyMigrated(Settled::NativeImport)), StepStatus::Settled)
        }
        StartAnswer::NothingToMigrate => {
            record(Plan::event(Event::AlreadyMigrated(Settled::NotFound)), StepStatus::Settled)
        }
        StartAnswer::AlreadyRunning(running) => {
            record(Plan::event(Event::Adopt(*running)), StepStatus::Running)
        }
        StartAnswer::PreImportRequired { .. } if step == Step::Final => {
            Decision::StartPreAgain(Plan::event(Event::StartPreImport))
        }
        StartAnswer::PreImportRequired { .. } => Decision::Record {
            plan: Plan::event(Event::AbortImport { counted: true }),
            standing: StepStatus::Aborted,
            detail: Some("the registry wants a pre import before the pre import".to_owned()),
        },
        StartAnswer::RateLimited => {
            record(wait(Duration::from_secs(1)).with_signal(Signal::Full), StepStatus::Postponed)
        }
        StartAnswer::NotSent { .. } => record(wait(Duration::from_secs(1)), StepStatus::Postponed),
        // That is about this repository alone.
        StartAnswer::NotReady => record(wait(AFTER_CANCEL), StepStatus::NotReady),
        StartAnswer::Refused { status, code, detail } => {
            let ours = is_about_the_driver(*status, code);
            let abort = Plan::event(Event::AbortImport { counted: !ours });
            Decision::Record {
                plan: if ours { abort.not_before(AFTER_REFUSAL) } else { abort },
                standing: if ours { StepStatus::Unwelcome } else { StepStatus::Aborted },
                detail: Some(refusal(*status, code, detail.as_deref())),
            }
        }
        StartAnswer::NotTheRegistry { status } => Decision::Record {
            plan: wait(AFTER_FOREIGN_ANSWER),
            standing: StepStatus::NotTheRegistry,
            detail: Some(format!("{status} without the registry's error: something else answered")),
        },
    }
}

/// Who gave an answer to a start.
#[must_use]
pub const fn answered(answer: &StartAnswer) -> Answered {
    match answer {
        StartAnswer::NotSent { .. } => Answered::ByNobody,
        StartAnswer::NotTheRegistry { .. } => Answered::BySomethingElse,
        StartAnswer::Accepted
        | StartAnswer::ClaimsMigrated
        | StartAnswer::AlreadyMigrated
        | StartAnswer::NothingToMigrate
        | StartAnswer::AlreadyRunning(_)
        | StartAnswer::PreImportRequired { .. }
        | StartAnswer::RateLimited
        | StartAnswer::NotReady
        | StartAnswer::Unknown { .. }
        | StartAnswer::Refused { .. } => Answered::ByTheRegistry,
    }
}

/// What an answer that claims the repository to be migrated is worth, by what the registry then says of it.
#[must_use]
pub fn prove_migrated(status: &StatusAnswer) -> StartAnswer {
    match status {
        StatusAnswer::Known { status: RegistryStatus::Native | RegistryStatus::ImportComplete, .. } => {
            StartAnswer::AlreadyMigrated
        }
        StatusAnswer::Known { .. } | StatusAnswer::NotFound | StatusAnswer::NoAnswer { .. } => {
            StartAnswer::ClaimsMigrated
        }
    }
}

/// Whether a refusal is about how the driver asked, or whether it may, and would be the same for every repository.
fn is_about_the_driver(status: u16, code: &str) -> bool {
    matches!(status, 401..=403 | 405..=408 | 411 | 413..=415 | 417 | 421 | 426 | 428 | 431)
        || code == "INVALID_QUERY_PARAMETER_VALUE"
}

fn refusal(status: u16, code: &str, detail: Option<&str>) -> String {
    let reason = detail.map(|detail| format!(" {detail}")).unwrap_or_default();
    foreign::keep(&format!("registry answered {status} {code}{reason}"))
}

/// A random number from 0 to 1.
pub(super) fn jitter() -> f64 {
    rand::rng().random()
}

#[cfg(test)]
mod tests;
