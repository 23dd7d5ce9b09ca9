use std::time::Duration;

use rand::RngExt;
use serde::Serialize;

use crate::{
    migration::{AFTER_CANCEL, Event, Plan, Settled, Step},
    registry::StartAnswer,
};

/// Nothing is wrong with the repository, but with our own side or the way to the registry: it is left in peace
/// for this long.
const AFTER_REFUSAL: Duration = Duration::from_secs(60);

/// How a repository stands once the registry has been asked to run a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The registry runs the step, and will tell how it ended.
    Running,
    /// Nobody knows whether the registry runs it. The row stays; the registry will be asked.
    Unknown,
    /// There was nothing to import.
    Settled,
    /// The registry surely did not start it; it will be asked again.
    Postponed,
    /// The registry refuses this repository.
    Aborted,
    /// The registry refuses the driver, whichever repository it asks for.
    Unwelcome,
    /// The row had moved on before the answer could be recorded: a notification was faster.
    MovedOn,
}

/// What the registry's answer to a start asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Decision {
    /// Nothing to record.
    Stay(Standing),
    /// Record it.
    Record { plan: Plan, standing: Standing, detail: Option<String> },
    /// Record that the step is the pre step again, with a new attempt, and ask for that.
    StartPreAgain(Plan),
}

/// Interprets the registry's answer to a request for `step`. `jitter`, from 0 to 1, spreads the repetitions of
/// many so that they do not come back together.
pub(super) fn decide(step: Step, answer: &StartAnswer, jitter: f64) -> Decision {
    let record = |plan, standing| Decision::Record { plan, standing, detail: None };
    let postpone = |least: Duration| {
        let delay = least + least.min(Duration::from_secs(2)).mul_f64(jitter);
        record(Plan::event(Event::StartRefused).not_before(delay), Standing::Postponed)
    };
    match answer {
        StartAnswer::Accepted => Decision::Stay(Standing::Running),
        StartAnswer::Unknown { .. } => Decision::Stay(Standing::Unknown),
        StartAnswer::AlreadyMigrated => {
            record(Plan::event(Event::AlreadyMigrated(Settled::NativeImport)), Standing::Settled)
        }
        StartAnswer::NothingToMigrate => {
            record(Plan::event(Event::AlreadyMigrated(Settled::NotFound)), Standing::Settled)
        }
        StartAnswer::AlreadyRunning(running) => {
            record(Plan::event(Event::Adopt(*running)), Standing::Running)
        }
        StartAnswer::PreImportRequired { .. } if step == Step::Final => {
            Decision::StartPreAgain(Plan::event(Event::StartPreImport))
        }
        StartAnswer::PreImportRequired { .. } => Decision::Record {
            plan: Plan::event(Event::AbortImport { counted: true }),
            standing: Standing::Aborted,
            detail: Some("the registry wants a pre import before the pre import".to_owned()),
        },
        StartAnswer::RateLimited | StartAnswer::NotSent { .. } => postpone(Duration::from_secs(1)),
        StartAnswer::NotReady => postpone(AFTER_CANCEL),
        StartAnswer::Refused { status, code, detail } => {
            // These are about us, not about the repository.
            let ours = matches!(status, 300..=399 | 401 | 403 | 407);
            let abort = Plan::event(Event::AbortImport { counted: !ours });
            Decision::Record {
                plan: if ours { abort.not_before(AFTER_REFUSAL) } else { abort },
                standing: if ours { Standing::Unwelcome } else { Standing::Aborted },
                detail: Some(refusal(*status, code.as_deref(), detail.as_deref())),
            }
        }
    }
}

fn refusal(status: u16, code: Option<&str>, detail: Option<&str>) -> String {
    let text =
        [Some(format!("registry answered {status}")), code.map(str::to_owned), detail.map(str::to_owned)]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" ");
    text.chars().take(255).collect()
}

/// A random number from 0 to 1.
pub(super) fn jitter() -> f64 {
    rand::rng().random()
}

#[cfg(test)]
mod tests {
    use super::{Decision, Standing, decide};
    use crate::{
        migration::{Event, Plan, Settled, Step},
        registry::{PreImportCode, StartAnswer},
    };

    fn recorded(step: Step, answer: &StartAnswer) -> (Plan, Standing) {
        match decide(step, answer, 0.0) {
            Decision::Record { plan, standing, .. } => (plan, standing),
            other => panic!("{answer:?}: {other:?}"),
        }
    }

    #[test]
    fn what_is_known_not_to_have_started_goes_back_and_what_is_unknown_stays() {
        let reason = || "r".to_owned();
        assert_eq!(
            decide(Step::Pre, &StartAnswer::Unknown { reason: reason() }, 0.0),
            Decision::Stay(Standing::Unknown)
        );
        for (answer, ms) in [
            (StartAnswer::RateLimited, 1_000),
            (StartAnswer::NotSent { reason: reason() }, 1_000),
            (StartAnswer::NotReady, 5_000),
        ] {
            let delay = std::time::Duration::from_millis(ms);
            let plan = Plan::event(Event::StartRefused).not_before(delay);
            assert_eq!(recorded(Step::Pre, &answer), (plan, Standing::Postponed), "{answer:?}");
        }
    }

    #[test]
    fn nothing_to_import_ends_the_migration_with_its_reason() {
        for (answer, settled) in [
            (StartAnswer::AlreadyMigrated, Settled::NativeImport),
            (StartAnswer::NothingToMigrate, Settled::NotFound),
        ] {
            let plan = Plan::event(Event::AlreadyMigrated(settled));
            assert_eq!(recorded(Step::Final, &answer), (plan, Standing::Settled));
        }
    }

    #[test]
    fn a_step_that_runs_already_is_adopted_and_never_aborted() {
        for step in [Step::Pre, Step::Final] {
            let plan = Plan::event(Event::Adopt(step));
            assert_eq!(recorded(Step::Pre, &StartAnswer::AlreadyRunning(step)), (plan, Standing::Running));
        }
    }

    #[test]
    fn a_final_step_without_its_pre_step_goes_back_to_the_pre_step_and_a_pre_step_does_not_loop() {
        let answer = StartAnswer::PreImportRequired { code: PreImportCode::Failed };
        assert!(matches!(decide(Step::Final, &answer, 0.0), Decision::StartPreAgain(_)));
        assert_eq!(recorded(Step::Pre, &answer).1, Standing::Aborted);
    }

    #[test]
    fn only_a_refusal_that_is_about_the_repository_counts_as_its_failure() {
        for (status, counted) in
            [(301, false), (401, false), (403, false), (400, true), (404, true), (422, true)]
        {
            let answer = StartAnswer::Refused { status, code: None, detail: None };
            let (plan, standing) = recorded(Step::Pre, &answer);
            assert_eq!(standing == Standing::Aborted, counted, "{status}");
            assert_eq!(plan == Plan::event(Event::AbortImport { counted: true }), counted, "{status}");
        }
    }
}
