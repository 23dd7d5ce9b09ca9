use std::time::Duration;

use serde_json::json;

use super::{client, deadline, path};
use crate::{
    endpoint::scripted_server::{Reply, ScriptedServer},
    migration::{AttemptId, RegistryStatus, RepositoryPath, Step},
    registry::{CancelAnswer, PreImportCode, ProbeAnswer, StartAnswer, StatusAnswer},
};

/// An error as the registry sends it.
fn error(status: u16, code: &str) -> Reply {
    let detail = "repository path group/project/image";
    Reply::answer(
        status,
        json!({ "errors": [{ "code": code, "message": "m", "detail": detail }] }).to_string(),
    )
}

async fn start(reply: Reply) -> StartAnswer {
    let server = ScriptedServer::start([reply]).await;
    let attempt = AttemptId::new(uuid::Uuid::from_u128(7));
    client(&server.url()).start(&path(), Step::Pre, attempt, deadline()).await
}

async fn status(reply: Reply) -> StatusAnswer {
    let server = ScriptedServer::start([reply]).await;
    client(&server.url()).status(&path(), deadline()).await
}

async fn cancel(reply: Reply, force: bool) -> CancelAnswer {
    let server = ScriptedServer::start([reply]).await;
    client(&server.url()).cancel(&path(), force, deadline()).await
}

#[tokio::test]
async fn every_answer_of_the_registry_to_a_start_is_told_apart() {
    use StartAnswer::{
        Accepted, AlreadyRunning, ClaimsMigrated, NotReady, NothingToMigrate, PreImportRequired, RateLimited,
    };
    for (reply, answer) in [
        (Reply::answer(202, ""), Accepted),
        (Reply::answer(200, ""), ClaimsMigrated),
        (Reply::answer(200, r#"{"path":"group/project/image","status":"import_complete"}"#), ClaimsMigrated),
        (Reply::answer(200, "<html>maintenance</html>"), ClaimsMigrated),
        (error(404, "NAME_UNKNOWN"), NothingToMigrate),
        (error(409, "IMPORT_IN_PROGRESS"), AlreadyRunning(Step::Final)),
        (error(425, "PRE_IMPORT_IN_PROGRESS"), AlreadyRunning(Step::Pre)),
        (error(424, "PRE_IMPORT_FAILED"), PreImportRequired { code: PreImportCode::Failed }),
        (error(424, "PRE_IMPORT_CANCELED"), PreImportRequired { code: PreImportCode::Canceled }),
        (error(424, "PRE_IMPORT_REQUIRED"), PreImportRequired { code: PreImportCode::Required }),
        (error(429, "IMPORT_RATE_LIMIT"), RateLimited),
        (error(429, "IMPORT_REPOSITORY_NOT_READY"), NotReady),
        (error(429, "TOOMANYREQUESTS"), RateLimited),
        (Reply::answer(429, "slow down"), RateLimited),
    ] {
        assert_eq!(start(reply.clone()).await, answer, "{reply:?}");
    }
}

#[tokio::test]
async fn other_refusals_are_told_with_status_code_and_detail() {
    let detail = Some("repository path group/project/image".to_owned());
    for (status, code) in [
        (400, "INVALID_QUERY_PARAMETER_VALUE"),
        (401, "UNAUTHORIZED"),
        (403, "DENIED"),
        (404, "SOMETHING_ELSE"),
        (409, "SOMETHING_ELSE"),
        (424, "SOMETHING_ELSE"),
    ] {
        let expected = StartAnswer::Refused { status, code: code.to_owned(), detail: detail.clone() };
        assert_eq!(start(error(status, code)).await, expected);
    }
}

#[tokio::test]
async fn takes_a_foreign_404_for_no_answer() {
    for body in
        ["", "<html>404 page not found</html>", "{}", r#"{"errors":[]}"#, r#"{"errors":"NAME_UNKNOWN"}"#]
    {
        let expected = StartAnswer::NotTheRegistry { status: 404 };
        assert_eq!(start(Reply::answer(404, body)).await, expected, "{body}");
    }
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_leaves_the_outcome_unknown() {
    for reply in [
        error(500, "UNKNOWN"),
        Reply::answer(502, "<html>bad gateway</html>"),
        Reply::answer(503, ""),
        Reply::answer(504, ""),
        Reply::answer(201, ""),
        Reply::answer(204, ""),
        // The codes were lost on the way, and an import may be running.
        Reply::answer(409, ""),
        Reply::answer(425, "<html>too early</html>"),
    ] {
        let answer = start(reply.clone()).await;
        assert!(matches!(answer, StartAnswer::Unknown { .. }), "{reply:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_refused_and_not_followed() {
    for status in [301, 302, 307, 308] {
        let elsewhere = ScriptedServer::start([Reply::answer(202, "")]).await;
        let answer = start(Reply::answer(status, "").with("location", elsewhere.url())).await;
        assert_eq!(answer, StartAnswer::NotTheRegistry { status });
        assert_eq!(elsewhere.received().len(), 0);
    }
}

#[tokio::test]
async fn cuts_details_to_255_characters_and_stops_reading() {
    let long = json!({ "errors": [{ "code": "DENIED", "detail": "é".repeat(300) }] }).to_string();
    let StartAnswer::Refused { detail: Some(detail), .. } = start(Reply::answer(403, long)).await else {
        panic!("not refused");
    };
    assert_eq!(detail.chars().count(), 255);

    let page = json!({ "errors": [{ "code": "NAME_UNKNOWN", "detail": "x".repeat(70_000) }] }).to_string();
    let expected = StartAnswer::NotTheRegistry { status: 404 };
    assert_eq!(start(Reply::answer(404, page)).await, expected);
}

#[tokio::test]
async fn an_error_with_an_object_for_its_detail_or_none_is_read_too() {
    let object = r#"{"errors":[{"code":"DENIED","detail":{"why":"no"}}]}"#;
    let expected = |detail: &str| StartAnswer::Refused {
        status: 403,
        code: "DENIED".to_owned(),
        detail: Some(detail.to_owned()),
    };
    assert_eq!(start(Reply::answer(403, object)).await, expected(r#"{"why":"no"}"#));
    let message = r#"{"errors":[{"code":"DENIED","message":"not you"}]}"#;
    assert_eq!(start(Reply::answer(403, message)).await, expected("not you"));
}

#[tokio::test]
async fn every_status_of_the_registry_is_read() {
    for &known in RegistryStatus::ALL {
        let body = json!({ "name": "image", "path": path(), "status": known, "detail": "as it is" });
        let expected = StatusAnswer::Known { status: known, detail: Some("as it is".to_owned()), idle: None };
        assert_eq!(status(Reply::answer(200, body.to_string())).await, expected);
    }
}

#[tokio::test]
async fn a_status_is_read_whatever_its_detail_is() {
    for (detail, kept) in [
        (r#""a\u0000b""#, Some("a\u{fffd}b".to_owned())),
        (r#""a\ud800b""#, Some("a\u{fffd}b".to_owned())),
        ("7", Some("7".to_owned())),
        (r#"["a"]"#, Some(r#"["a"]"#.to_owned())),
        (r#"{"why":"no"}"#, Some(r#"{"why":"no"}"#.to_owned())),
        (r#""a","detail":"b""#, Some("b".to_owned())),
        ("null", None),
        (&format!("\"{}\"", "é".repeat(300)), Some("é".repeat(255))),
    ] {
        let body = format!(r#"{{"path":"{}","status":"import_failed","detail":{detail}}}"#, path());
        let expected = StatusAnswer::Known { status: RegistryStatus::ImportFailed, detail: kept, idle: None };
        assert_eq!(status(Reply::answer(200, body)).await, expected, "{detail}");
        let refused = format!(r#"{{"errors":[{{"code":"DENIED","detail":{detail}}}]}}"#);
        let StatusAnswer::Known { detail: kept, .. } = expected else { unreachable!() };
        let expected = StartAnswer::Refused { status: 403, code: "DENIED".to_owned(), detail: kept };
        assert_eq!(start(Reply::answer(403, refused)).await, expected, "{detail}");
    }
    for contradiction in [
        r#"{"path":"group/project/image","status":"native","status":"import_failed"}"#,
        r#"{"status":"native","path":"group/project/image","path":"other"}"#,
        r#"[{"status":"native"}]"#,
    ] {
        let answer = status(Reply::answer(200, contradiction)).await;
        assert!(matches!(answer, StatusAnswer::NoAnswer { .. }), "{contradiction}: {answer:?}");
    }
}

#[tokio::test]
async fn reads_for_how_long_a_step_has_stood_still() {
    for (member, idle) in [
        ("", None),
        (r#","idle_seconds":0"#, Some(Duration::ZERO)),
        (r#","idle_seconds":-0.0"#, Some(Duration::ZERO)),
        (r#","idle_seconds":41"#, Some(Duration::from_secs(41))),
        (r#","idle_seconds":41.0"#, Some(Duration::from_secs(41))),
        (r#","idle_seconds":0.25"#, Some(Duration::from_millis(250))),
        (r#","idle_seconds":4.1e1"#, Some(Duration::from_secs(41))),
        (r#","idle_seconds":41,"idle_seconds":41"#, Some(Duration::from_secs(41))),
        // Who says nothing that could be such a time has not said it.
        (r#","idle_seconds":0,"idle_seconds":9999"#, None),
        (r#","idle_seconds":-1"#, None),
        (r#","idle_seconds":1e300"#, None),
        (r#","idle_seconds":1e400"#, None),
        (r#","idle_seconds":null"#, None),
        (r#","idle_seconds":"41""#, None),
        (r#","idle_seconds":[41]"#, None),
        (r#","idle_seconds":{"seconds":41}"#, None),
        (r#","idle_seconds":true"#, None),
        (r#","Idle_Seconds":41"#, None),
    ] {
        let body = format!(r#"{{"path":"{}","status":"pre_import_in_progress"{member}}}"#, path());
        let expected =
            StatusAnswer::Known { status: RegistryStatus::PreImportInProgress, detail: None, idle };
        assert_eq!(status(Reply::answer(200, body)).await, expected, "{member}");
    }
}

#[test]
fn an_error_about_the_longest_path_is_about_that_path() {
    let longest = RepositoryPath::parse(&format!("{}/b", "a".repeat(253))).unwrap();
    let read = |named: &str| {
        let detail = format!("repository path {named}");
        let body = json!({ "errors": [{ "code": "NAME_UNKNOWN", "detail": detail }] }).to_string();
        StartAnswer::read(404, body.as_bytes(), &longest)
    };
    assert_eq!(read(longest.as_str()), StartAnswer::NothingToMigrate);
    for other in ["b".repeat(255), "aaa".to_owned()] {
        assert_eq!(read(&other), StartAnswer::NotTheRegistry { status: 404 }, "{other}");
    }
}

#[tokio::test]
async fn believes_a_status_404_only_if_empty_or_coded() {
    assert_eq!(status(Reply::answer(404, "")).await, StatusAnswer::NotFound);
    assert_eq!(status(error(404, "NAME_UNKNOWN")).await, StatusAnswer::NotFound);
    let answer = status(Reply::answer(404, "404 page not found\n")).await;
    assert!(matches!(answer, StatusAnswer::NoAnswer { .. }), "{answer:?}");
}

#[tokio::test]
async fn a_status_that_is_not_one_is_no_answer() {
    let named = |status: &str| format!(r#"{{"path":"group/project/image","status":{status}}}"#);
    for (reply, reason) in [
        (Reply::answer(200, ""), "the status is not the registry's JSON"),
        (Reply::answer(200, "<html>"), "the status is not the registry's JSON"),
        (Reply::answer(200, "{}"), "no path in the registry's JSON"),
        (Reply::answer(200, named(r#""confused""#)), "unknown registry status: \"confused\""),
        (Reply::answer(200, named("null")), "no status in the registry's JSON"),
        (Reply::answer(200, named("7")), "no status in the registry's JSON"),
        (Reply::answer(200, r#"{"path":["group/project/image"]}"#), "the status of another repository"),
        (Reply::answer(200, r#"{"status":"native"}"#), "no path in the registry's JSON"),
        (Reply::answer(200, r#"{"path":"another","status":"native"}"#), "the status of another repository"),
        (error(401, "UNAUTHORIZED"), "401 UNAUTHORIZED: repository path group/project/image"),
        (Reply::answer(500, ""), "500"),
        (Reply::answer(301, ""), "301"),
    ] {
        assert_eq!(
            status(reply.clone()).await,
            StatusAnswer::NoAnswer { reason: reason.to_owned() },
            "{reply:?}"
        );
    }
}

#[tokio::test]
async fn every_answer_of_the_registry_to_a_cancelation_is_told_apart() {
    let refusal = |status: &str| {
        let detail = format!("repository path group/project/image previous migration status: {status}");
        let entry = json!({ "code": "IMPORT_CANNOT_BE_CANCELED", "message": "m", "detail": detail });
        Reply::answer(400, json!({ "errors": [entry] }).to_string())
    };
    let complete = CancelAnswer::CannotBeCanceled { previous: Some(RegistryStatus::ImportComplete) };
    let native = CancelAnswer::CannotBeCanceled { previous: Some(RegistryStatus::Native) };
    let nameless = CancelAnswer::CannotBeCanceled { previous: None };
    for (reply, force, answer) in [
        (Reply::answer(202, ""), false, CancelAnswer::Accepted),
        (Reply::answer(202, ""), true, CancelAnswer::Accepted),
        (Reply::answer(404, ""), false, CancelAnswer::NotFound),
        (refusal("import_complete"), false, complete.clone()),
        (refusal("import_complete"), true, complete),
        (refusal("native"), false, native),
        (refusal("native"), true, CancelAnswer::Native),
        (refusal("confused"), false, nameless.clone()),
        (error(400, "IMPORT_CANNOT_BE_CANCELED"), false, nameless),
        (error(400, "IMPORT_CANNOT_BE_CANCELED"), true, CancelAnswer::Native),
    ] {
        assert_eq!(cancel(reply.clone(), force).await, answer, "{reply:?} {force}");
    }
    for reply in [Reply::answer(404, "<html>"), Reply::answer(400, ""), error(401, "UNAUTHORIZED")] {
        let answer = cancel(reply.clone(), true).await;
        assert!(matches!(answer, CancelAnswer::Refused { .. }), "{reply:?}: {answer:?}");
    }
    for reply in [Reply::answer(200, ""), Reply::answer(500, ""), Reply::Cut] {
        let answer = cancel(reply.clone(), false).await;
        assert!(matches!(answer, CancelAnswer::NoAnswer { .. }), "{reply:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_registry_that_answers_2xx_or_401_speaks_the_protocol() {
    for (status, expected) in [
        (200, ProbeAnswer::Supported),
        (204, ProbeAnswer::Supported),
        (401, ProbeAnswer::Supported),
        (404, ProbeAnswer::Unsupported { status: 404 }),
        (301, ProbeAnswer::Unsupported { status: 301 }),
        (503, ProbeAnswer::NoAnswer { reason: "503".to_owned() }),
    ] {
        let server = ScriptedServer::start([Reply::answer(status, "")]).await;
        assert_eq!(client(&server.url()).probe(deadline()).await, expected);
    }
}

#[tokio::test]
async fn takes_no_page_for_a_registry() {
    for (body, supported) in [
        ("", true),
        ("\n", true),
        ("{}", true),
        ("<html>back soon</html>", false),
        ("OK", false),
        ("{", false),
    ] {
        let server = ScriptedServer::start([Reply::answer(200, body)]).await;
        let answer = client(&server.url()).probe(deadline()).await;
        let page = ProbeAnswer::Unsupported { status: 200 };
        assert_eq!(answer, if supported { ProbeAnswer::Supported } else { page }, "{body}");
    }
}

#[tokio::test]
async fn takes_no_answer_that_names_another_repository() {
    let other = |code: &str, rest: &str| {
        let detail = format!("repository path group/project/other{rest}");
        json!({ "errors": [{ "code": code, "message": "m", "detail": detail }] }).to_string()
    };
    let answer = start(Reply::answer(404, other("NAME_UNKNOWN", ""))).await;
    assert_eq!(answer, StartAnswer::NotTheRegistry { status: 404 });
    let answer = start(Reply::answer(409, other("IMPORT_IN_PROGRESS", ""))).await;
    assert!(matches!(answer, StartAnswer::Unknown { .. }), "{answer:?}");
    let answer = status(Reply::answer(404, other("NAME_UNKNOWN", ""))).await;
    assert!(matches!(answer, StatusAnswer::NoAnswer { .. }), "{answer:?}");
    let refusal = other("IMPORT_CANNOT_BE_CANCELED", " previous migration status: import_complete");
    for force in [false, true] {
        let answer = cancel(Reply::answer(400, refusal.clone()), force).await;
        assert!(matches!(answer, CancelAnswer::Refused { code: None, .. }), "{answer:?}");
    }
}

#[tokio::test]
async fn reads_a_status_whose_detail_is_no_text() {
    let body = r#"{"path":"group/project/image","status":"import_failed","detail":{"blob":"x"}}"#;
    let expected = StatusAnswer::Known {
        status: RegistryStatus::ImportFailed,
        detail: Some(r#"{"blob":"x"}"#.to_owned()),
        idle: None,
    };
    assert_eq!(status(Reply::answer(200, body)).await, expected);
}
