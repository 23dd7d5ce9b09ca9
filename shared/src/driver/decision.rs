use std::time::Duration;

use rand::RngExt;
use serde::Serialize;

use crate::{
    migration::{AFTER_CANCEL, Event, Plan, RegistryStatus, Settled, Step, Told, foreign},
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
pub enum Standing {
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

impl Standing {
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
    let wait = |least: Duration| {
        let delay = least + least.min(Duration::from_secs(2)).mul_f64(jitter);
        Plan::event(Event::StartRefused).not_before(delay)
    };
    match answer {
        StartAnswer::Accepted => Decision::Stay(Standing::Running),
        // A claim alone proves nothing.
        StartAnswer::Unknown { .. } | StartAnswer::ClaimsMigrated => Decision::Stay(Standing::Unknown),
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
        StartAnswer::RateLimited => {
            record(wait(Duration::from_secs(1)).telling(Told::Full), Standing::Postponed)
        }
        StartAnswer::NotSent { .. } => record(wait(Duration::from_secs(1)), Standing::Postponed),
        // That is about this repository alone.
        StartAnswer::NotReady => record(wait(AFTER_CANCEL), Standing::NotReady),
        StartAnswer::Refused { status, code, detail } => {
            let ours = is_about_the_driver(*status, code);
            let abort = Plan::event(Event::AbortImport { counted: !ours });
            Decision::Record {
                plan: if ours { abort.not_before(AFTER_REFUSAL) } else { abort },
                standing: if ours { Standing::Unwelcome } else { Standing::Aborted },
                detail: Some(refusal(*status, code, detail.as_deref())),
            }
        }
        StartAnswer::NotTheRegistry { status } => Decision::Record {
            plan: wait(AFTER_FOREIGN_ANSWER),
            standing: Standing::NotTheRegistry,
            detail: Some(format!("{status} without the registry's error: something else answered")),
        },
    }
}

/// Who gave an answer to a start.
pub(super) const fn answered(answer: &StartAnswer) -> Answered {
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
pub(super) fn prove_migrated(status: &StatusAnswer) -> StartAnswer {
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
mod tests {
    use super::{Decision, Standing, answered, decide, prove_migrated};
    use crate::{
        migration::{Event, Plan, RegistryStatus, RepositoryPath, Settled, Step, Told},
        registry::{PreImportCode, StartAnswer, StatusAnswer},
        store::Answered,
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
        for (answer, ms, standing) in [
            (StartAnswer::RateLimited, 1_000, Standing::Postponed),
            (StartAnswer::NotSent { reason: reason() }, 1_000, Standing::Postponed),
            (StartAnswer::NotReady, 5_000, Standing::NotReady),
        ] {
            let delay = std::time::Duration::from_millis(ms);
            let plan = Plan::event(Event::StartRefused).not_before(delay);
            let plan = if answer == StartAnswer::RateLimited { plan.telling(Told::Full) } else { plan };
            assert_eq!(recorded(Step::Pre, &answer), (plan, standing), "{answer:?}");
        }
    }

    /// What the answer to one repository's start means for the others: whether the sweep ends, what the brake is told,
    /// and whom the history names.
    #[test]
    fn holds_others_back_only_where_it_is_about_them() {
        use Answered::{ByNobody, BySomethingElse, ByTheRegistry};
        let reason = || "r".to_owned();
        let refused =
            |status, code: &str| StartAnswer::Refused { status, code: code.to_owned(), detail: None };
        for (answer, ends, told, by) in [
            (StartAnswer::Accepted, false, "nothing", ByTheRegistry),
            (StartAnswer::ClaimsMigrated, true, "nothing", ByTheRegistry),
            (StartAnswer::Unknown { reason: reason() }, true, "nothing", ByTheRegistry),
            (StartAnswer::AlreadyMigrated, false, "succeeded", ByTheRegistry),
            (StartAnswer::NothingToMigrate, false, "nothing", ByTheRegistry),
            (StartAnswer::AlreadyRunning(Step::Pre), false, "nothing", ByTheRegistry),
            (StartAnswer::PreImportRequired { code: PreImportCode::Failed }, false, "failed", ByTheRegistry),
            (StartAnswer::RateLimited, true, "full", ByTheRegistry),
            (StartAnswer::NotReady, false, "nothing", ByTheRegistry),
            (StartAnswer::NotSent { reason: reason() }, true, "nothing", ByNobody),
            (StartAnswer::NotTheRegistry { status: 404 }, true, "nothing", BySomethingElse),
            (refused(400, "MANIFEST_INVALID"), false, "failed", ByTheRegistry),
            (refused(403, "DENIED"), true, "nothing", ByTheRegistry),
        ] {
            let (standing, tells) = match decide(Step::Pre, &answer, 0.0) {
                Decision::Stay(standing) => (standing, serde_json::Value::Null),
                Decision::Record { plan, standing, .. } => {
                    (standing, plan.to_json()["pre_importing/default"]["otherwise"]["tells"].clone())
                }
                Decision::StartPreAgain(_) => panic!("{answer:?}"),
            };
            let tells = tells.as_str().unwrap_or("nothing");
            assert_eq!((standing.ends_the_sweep(), tells), (ends, told), "{answer:?}");
            assert_eq!(answered(&answer), by, "{answer:?}");
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

    /// What an answer may do to a row, and whether it may count as the repository's own failure.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Meaning {
        Running,
        /// Believed after the registry's own status and not before.
        ToProve,
        Unknown,
        /// Surely not started, uncounted, asked again later.
        Waits,
        /// As `Waits`: it was not the registry that answered.
        Foreign,
        NothingToMigrate,
        /// Uncounted: about how the driver asked, or whether it may.
        Driver,
        /// The only one that counts.
        Repository,
    }

    fn meaning(status: u16, body: &str) -> Meaning {
        let path = RepositoryPath::parse("group/project/image").unwrap();
        let answer = StartAnswer::read(status, body.as_bytes(), &path);
        let plan_of =
            |event| Plan::event(event).to_json()["pre_importing/default"]["otherwise"]["steps"].clone();
        let decision = decide(Step::Pre, &answer, 0.0);
        let (standing, steps) = match decision {
            Decision::Stay(standing) => (standing, serde_json::Value::Null),
            Decision::Record { plan, standing, .. } => {
                (standing, plan.to_json()["pre_importing/default"]["otherwise"]["steps"].clone())
            }
            Decision::StartPreAgain(_) => panic!("{status} {body}: {decision:?}"),
        };
        let counted = plan_of(Event::AbortImport { counted: true });
        let uncounted = plan_of(Event::AbortImport { counted: false });
        let refused = plan_of(Event::StartRefused);
        match standing {
            Standing::Running => Meaning::Running,
            Standing::Unknown if answer == StartAnswer::ClaimsMigrated => Meaning::ToProve,
            Standing::Unknown => Meaning::Unknown,
            Standing::Settled => Meaning::NothingToMigrate,
            Standing::Postponed | Standing::NotReady if steps == refused => Meaning::Waits,
            Standing::NotTheRegistry if steps == refused => Meaning::Foreign,
            Standing::Unwelcome if steps == uncounted => Meaning::Driver,
            Standing::Aborted if steps == counted => Meaning::Repository,
            other => panic!("{status} {body}: {other:?} {steps}"),
        }
    }

    /// Bodies that do not carry the registry's error about this repository.
    const FOREIGN: [&str; 11] = [
        "",
        "<html><h1>404 Not Found</h1></html>",
        "404 page not found\n",
        "{}",
        "[]",
        r#"{"errors":[]}"#,
        r#"{"errors":"NAME_UNKNOWN"}"#,
        r#"{"errors":[{"code":""}]}"#,
        r#"{"errors":[{"code":1003,"message":"invalid host"}]}"#,
        r#"{"errors":[{"code":"not_found","title":"a page"}]}"#,
        r#"{"errors":[{"code":"NAME_UNKNOWN","detail":"repository path another/image"}]}"#,
    ];

    #[test]
    fn counts_only_what_the_registry_says_of_the_repository() {
        use Meaning::{Driver, Foreign, Repository, Running, ToProve, Unknown, Waits};
        // By status: without the registry's error, and with one that has no meaning of its own.
        for (status, foreign, own) in [
            (200, ToProve, ToProve),
            (201, Unknown, Unknown),
            (202, Running, Running),
            (204, Unknown, Unknown),
            (301, Foreign, Foreign),
            (302, Foreign, Foreign),
            (307, Foreign, Foreign),
            (400, Foreign, Repository),
            (401, Foreign, Driver),
            (402, Foreign, Driver),
            (403, Foreign, Driver),
            (404, Foreign, Repository),
            (405, Foreign, Driver),
            (406, Foreign, Driver),
            (407, Foreign, Driver),
            (408, Foreign, Driver),
            // The code may have been lost on the way, and the import runs.
            (409, Unknown, Repository),
            (410, Foreign, Repository),
            (412, Foreign, Repository),
            (413, Foreign, Driver),
            (414, Foreign, Driver),
            (421, Foreign, Driver),
            (422, Foreign, Repository),
            (424, Foreign, Repository),
            (425, Unknown, Repository),
            (426, Foreign, Driver),
            (429, Waits, Waits),
            (431, Foreign, Driver),
            (451, Foreign, Repository),
            (500, Unknown, Unknown),
            (502, Unknown, Unknown),
            (503, Unknown, Unknown),
            (504, Unknown, Unknown),
        ] {
            for body in FOREIGN {
                assert_eq!(meaning(status, body), foreign, "{status} {body}");
            }
            for detail in [r#""repository path group/project/image""#, r#"{"name":"x"}"#, "null", "7"] {
                let body = format!(r#"{{"errors":[{{"code":"SOME_CODE","message":[],"detail":{detail}}}]}}"#);
                assert_eq!(meaning(status, &body), own, "{status} {body}");
            }
        }
    }

    #[test]
    fn believes_a_code_only_with_its_status() {
        use Meaning::{Driver, NothingToMigrate, Repository, Running, Unknown, Waits};
        for (status, code, expected) in [
            (404, "NAME_UNKNOWN", NothingToMigrate),
            (400, "NAME_UNKNOWN", Repository),
            (500, "NAME_UNKNOWN", Unknown),
            (425, "PRE_IMPORT_IN_PROGRESS", Running),
            (409, "IMPORT_IN_PROGRESS", Running),
            (400, "PRE_IMPORT_IN_PROGRESS", Repository),
            (424, "PRE_IMPORT_FAILED", Repository),
            (400, "INVALID_QUERY_PARAMETER_VALUE", Driver),
            (405, "UNSUPPORTED", Driver),
            (429, "IMPORT_RATE_LIMIT", Waits),
            (429, "IMPORT_REPOSITORY_NOT_READY", Waits),
            (503, "UNAVAILABLE", Unknown),
        ] {
            let body = format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#);
            assert_eq!(meaning(status, &body), expected, "{status} {code}");
        }
    }

    #[test]
    fn asks_before_it_believes_a_200() {
        let known = |status| StatusAnswer::Known { status, detail: None };
        for &status in RegistryStatus::ALL {
            let migrated = matches!(status, RegistryStatus::Native | RegistryStatus::ImportComplete);
            let proven = prove_migrated(&known(status));
            assert_eq!(proven == StartAnswer::AlreadyMigrated, migrated, "{status}");
        }
        for no_proof in [StatusAnswer::NotFound, StatusAnswer::NoAnswer { reason: "r".to_owned() }] {
            let answer = prove_migrated(&no_proof);
            assert_eq!(decide(Step::Final, &answer, 0.0), Decision::Stay(Standing::Unknown), "{no_proof:?}");
        }
    }

    #[test]
    fn waits_some_seconds_for_the_registry_to_come_back() {
        for step in [Step::Pre, Step::Final] {
            let wait = Plan::event(Event::StartRefused).not_before(std::time::Duration::from_secs(5));
            let answer = StartAnswer::NotTheRegistry { status: 405 };
            assert_eq!(recorded(step, &answer), (wait, Standing::NotTheRegistry));
        }
    }
}
