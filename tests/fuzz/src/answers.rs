//! Answers of the registry to a start, a question for a status, a cancelation and a probe.

use serde_json::{Value, json};
use shared::{
    migration::{
        RegistryStatus, RepositoryPath,
        foreign::{MAX_CHARACTERS, keep},
    },
    registry::{CancelAnswer, StartAnswer, StatusAnswer, fuzzing::meanings},
};

use crate::{is_planted, pieces};

const PATH: &str = "group/project/image";

/// The status as digits in the first line, then the body.
pub fn run(data: &[u8]) {
    let ([status], body) = pieces::lines(data);
    let Ok(path) = RepositoryPath::parse(PATH) else { return };
    let status = pieces::text(status).trim().parse().unwrap_or(200);
    let read = meanings(status, body, &path);

    assert_eq!(matches!(read.start, StartAnswer::Accepted), status == 202, "{status} starts nothing");
    assert_eq!(matches!(read.start, StartAnswer::ClaimsMigrated), status == 200, "{status} claims nothing");
    assert_ne!(read.start, StartAnswer::AlreadyMigrated, "an answer proves nothing by itself");
    assert_eq!(matches!(read.cancel, CancelAnswer::Accepted), status == 202, "{status} cancels nothing");
    if let StartAnswer::Refused { detail, .. } = &read.start {
        assert!((400..500).contains(&status), "{status} refuses nothing");
        can_be_kept(detail.as_deref());
    }
    if let CancelAnswer::Refused { detail, .. } = &read.cancel {
        can_be_kept(detail.as_deref());
    }
    can_be_kept(read.code.as_deref());
    // The planted fault: there is no code that is so short.
    assert!(!(is_planted() && read.code.as_ref().is_some_and(|code| code.len() < 12)), "planted");
    is_known(status, body, &read.status);
    says_what_it_says(&pieces::text(body), &path);
}

/// Nothing is known but by a 200 that names this repository and a status of the nine.
fn is_known(status: u16, body: &[u8], read: &StatusAnswer) {
    match read {
        StatusAnswer::Known { detail, .. } => {
            assert_eq!(status, 200);
            can_be_kept(detail.as_deref());
        }
        StatusAnswer::NotFound => assert_eq!(status, 404),
        StatusAnswer::NoAnswer { .. } => {}
    }
    let Ok(Value::Object(said)) = serde_json::from_slice(body) else { return };
    let text = |name: &str| said.get(name).and_then(Value::as_str);
    let is_said_once = ["path", "status"].iter().all(|name| pieces::text(body).matches(name).count() == 1);
    let known = text("status").and_then(|text| RegistryStatus::parse(text).ok());
    if let Some(known) = known.filter(|_| status == 200 && is_said_once && text("path") == Some(PATH)) {
        let StatusAnswer::Known { status, .. } = read else { panic!("an answer is lost: {read:?}") };
        assert_eq!(*status, known);
    }
}

/// The registry's own words come back as they can be kept.
fn says_what_it_says(detail: &str, path: &RepositoryPath) {
    let body = json!({"name": "image", "path": PATH, "status": "import_failed", "detail": detail});
    let read = meanings(200, body.to_string().as_bytes(), path).status;
    let StatusAnswer::Known { status, detail: read, .. } = read else {
        panic!("an answer is lost: {read:?}")
    };
    assert_eq!((status, read), (RegistryStatus::ImportFailed, Some(keep(detail))));
}

fn can_be_kept(text: Option<&str>) {
    let text = text.unwrap_or_default();
    assert!(text.chars().count() <= MAX_CHARACTERS && !text.contains('\0'), "it cannot be kept");
}
