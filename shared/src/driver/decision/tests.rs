//! What an answer to a start may do to a row, and what may count as the repository's own failure.

use super::{Decision, StepStatus, answered, decide, prove_migrated};
use crate::{
    migration::{Event, Plan, RegistryStatus, RepositoryPath, Settled, Signal, Step},
    registry::{PreImportCode, StartAnswer, StatusAnswer},
    store::Answered,
};

fn recorded(step: Step, answer: &StartAnswer) -> (Plan, StepStatus) {
    match decide(step, answer, 0.0) {
        Decision::Record { plan, standing, .. } => (plan, standing),
        other => panic!("{answer:?}: {other:?}"),
    }
}

#[test]
fn puts_back_what_surely_did_not_start() {
    let reason = || "r".to_owned();
    assert_eq!(
        decide(Step::Pre, &StartAnswer::Unknown { reason: reason() }, 0.0),
        Decision::Stay(StepStatus::Unknown)
    );
    for (answer, ms, standing) in [
        (StartAnswer::RateLimited, 1_000, StepStatus::Postponed),
        (StartAnswer::NotSent { reason: reason() }, 1_000, StepStatus::Postponed),
        (StartAnswer::NotReady, 5_000, StepStatus::NotReady),
    ] {
        let delay = std::time::Duration::from_millis(ms);
        let plan = Plan::event(Event::StartRefused).not_before(delay);
        let plan = if answer == StartAnswer::RateLimited { plan.with_signal(Signal::Full) } else { plan };
        assert_eq!(recorded(Step::Pre, &answer), (plan, standing), "{answer:?}");
    }
}

/// What the answer to one repository's start means for the others: whether the sweep ends, what the brake records,
/// and which cause the history names.
#[test]
fn holds_others_back_only_where_it_is_about_them() {
    use Answered::{ByNobody, BySomethingElse, ByTheRegistry};
    let reason = || "r".to_owned();
    let refused = |status, code: &str| StartAnswer::Refused { status, code: code.to_owned(), detail: None };
    for (answer, ends, reply, by) in [
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
        let (standing, found) = match decide(Step::Pre, &answer, 0.0) {
            Decision::Stay(standing) => (standing, serde_json::Value::Null),
            Decision::Record { plan, standing, .. } => {
                (standing, plan.to_json()["pre_importing/default"]["otherwise"]["signal"].clone())
            }
            Decision::StartPreAgain(_) => panic!("{answer:?}"),
        };
        let signal = found.as_str().unwrap_or("nothing");
        assert_eq!((standing.ends_the_sweep(), signal), (ends, reply), "{answer:?}");
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
        assert_eq!(recorded(Step::Final, &answer), (plan, StepStatus::Settled));
    }
}

#[test]
fn a_step_that_runs_already_is_adopted_and_never_aborted() {
    for step in [Step::Pre, Step::Final] {
        let plan = Plan::event(Event::Adopt(step));
        assert_eq!(recorded(Step::Pre, &StartAnswer::AlreadyRunning(step)), (plan, StepStatus::Running));
    }
}

#[test]
fn goes_back_to_a_pre_step_that_is_missing() {
    let answer = StartAnswer::PreImportRequired { code: PreImportCode::Failed };
    assert!(matches!(decide(Step::Final, &answer, 0.0), Decision::StartPreAgain(_)));
    assert_eq!(recorded(Step::Pre, &answer).1, StepStatus::Aborted);
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
    let plan_of = |event| Plan::event(event).to_json()["pre_importing/default"]["otherwise"]["steps"].clone();
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
        StepStatus::Running => Meaning::Running,
        StepStatus::Unknown if answer == StartAnswer::ClaimsMigrated => Meaning::ToProve,
        StepStatus::Unknown => Meaning::Unknown,
        StepStatus::Settled => Meaning::NothingToMigrate,
        StepStatus::Postponed | StepStatus::NotReady if steps == refused => Meaning::Waits,
        StepStatus::NotTheRegistry if steps == refused => Meaning::Foreign,
        StepStatus::Unwelcome if steps == uncounted => Meaning::Driver,
        StepStatus::Aborted if steps == counted => Meaning::Repository,
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
    let known = |status| StatusAnswer::Known { status, detail: None, idle: None };
    for &status in RegistryStatus::ALL {
        let migrated = matches!(status, RegistryStatus::Native | RegistryStatus::ImportComplete);
        let proven = prove_migrated(&known(status));
        assert_eq!(proven == StartAnswer::AlreadyMigrated, migrated, "{status}");
    }
    for no_proof in [StatusAnswer::NotFound, StatusAnswer::NoAnswer { reason: "r".to_owned() }] {
        let answer = prove_migrated(&no_proof);
        assert_eq!(decide(Step::Final, &answer, 0.0), Decision::Stay(StepStatus::Unknown), "{no_proof:?}");
    }
}

#[test]
fn waits_some_seconds_for_the_registry_to_come_back() {
    for step in [Step::Pre, Step::Final] {
        let wait = Plan::event(Event::StartRefused).not_before(std::time::Duration::from_secs(5));
        let answer = StartAnswer::NotTheRegistry { status: 405 };
        assert_eq!(recorded(step, &answer), (wait, StepStatus::NotTheRegistry));
    }
}
