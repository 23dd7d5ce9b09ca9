//! Bodies and paths that no honest caller sends.

use local::{Stack, StackOptions};
use proptest::{
    collection,
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use shared::migration::foreign;
use suite::{data_api_calls, given, options, primary, row, sql, stack};

const URL: &str = "/api/v4/internal/registry/repositories/group/image/migration/status";

#[tokio::test(flavor = "multi_thread")]
async fn what_says_no_status_is_refused_without_a_database_call() {
    let stack = stack().await.unwrap();
    given(&stack, "group/image", "pre_importing", None).await.unwrap();
    let before = (row(&stack, "group/image").await.unwrap(), data_api_calls(&stack));
    for (name, body) in [
        ("empty", Vec::new()),
        ("not JSON", b"status=pre_import_complete".to_vec()),
        ("an array", br#"["pre_import_complete"]"#.to_vec()),
        ("no status", b"{}".to_vec()),
        ("a status of another type", br#"{"status":7}"#.to_vec()),
        ("two statuses", br#"{"status":"pre_import_complete","status":"pre_import_failed"}"#.to_vec()),
        ("half of it", br#"{"status":"pre_import"#.to_vec()),
        ("more than it", br#"{"status":"pre_import_complete"}{}"#.to_vec()),
    ] {
        let answer = stack.client().as_registry(Method::PUT, URL).body(body).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 400, "{name}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{name}");
        let body: Value = answer.json().await.unwrap();
        assert!(body["message"].as_str().unwrap().starts_with("400"), "{name}: {body}");
    }
    assert_eq!((row(&stack, "group/image").await.unwrap(), data_api_calls(&stack)), before);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_notification_is_lost_to_its_detail_or_its_content_type() {
    let stack = stack().await.unwrap();
    // Or what has failed would be started again meanwhile.
    sql(&stack, "UPDATE migration_settings SET capacity = 0").await.unwrap();
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    for (number, (kind, detail, kept)) in [
        ("application/json", r#""a\u0000b""#, "a\u{fffd}b"),
        ("application/json", r#""a\ud800b""#, "a\u{fffd}b"),
        ("application/json", r#""a","detail":{"b":"\u0000"}"#, r#"{"b":"\ufffd"}"#),
        ("text/plain", "7", "7"),
        ("a,a", &format!("\"{}\"", "\u{1f4a5}".repeat(256)), &"\u{1f4a5}".repeat(255)),
        ("text/xml", &large, &"x".repeat(255)),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("group/image{number}");
        given(&stack, &path, "pre_importing", None).await.unwrap();
        let url = URL.replace("group/image", &path);
        let body = format!(r#"{{"status":"pre_import_failed","detail":{detail}}}"#);
        let request = stack.client().as_registry(Method::PUT, &url).header("Content-Type", kind).body(body);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::OK, "{kind} {detail:.20}");
        let row = row(&stack, &path).await.unwrap();
        assert_eq!((&row["migration_state"], &row["detail"]), (&"import_aborted".into(), &kept.into()));
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_takes_whatever_is_made_of_a_foreign_text() {
    let stack = Stack::start(StackOptions { functions: vec![], ..options() }).await.unwrap();
    given(&stack, "group/image", "import_done", None).await.unwrap();
    let client = primary(&stack).await.unwrap();
    // The CHECK that a detail is short counts in the database's way.
    let update = "UPDATE container_repositories SET detail = $1, plan = $2, resume_state = NULL
        WHERE $3::text::jsonb IS NOT NULL RETURNING length(detail), length(plan)";
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let hostile = prop_oneof![
        Just('\0'),
        Just('\u{1f4a5}'),
        Just('ü'),
        Just(' '),
        Just('\u{feff}'),
        Just('"'),
        Just('\\'),
        any::<char>()
    ];
    let texts = collection::vec(hostile, 0..300).prop_map(|text| text.into_iter().collect::<String>());
    let units = collection::vec(prop_oneof![Just(0_u16), 0xd7f0..0xe010_u16, any::<u16>()], 0..40);
    let here = tokio::runtime::Handle::current();

    let tried = tokio::task::block_in_place(|| {
        runner.run(&(texts, units), |(text, units)| {
            let kept = foreign::keep(&text);
            let name = foreign::read_name(&text).ok();
            let escapes: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let document = format!(r#"{{"detail":"{escapes}"}}"#);
            let document = foreign::repair_json(&document);
            let stored = here.block_on(client.query_one(update, &[&kept, &name, &document.as_ref()]));
            let row = stored.map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
            prop_assert_eq!(row.get::<_, i32>(0) as usize, text.chars().count().min(255));
            prop_assert_eq!(row.get::<_, Option<i32>>(1), name.map(|name| name.chars().count() as i32));
            Ok(())
        })
    });

    tried.unwrap();
    stack.stop().await.unwrap();
}

/// The answer to a notification for a path as it stands in the request line, past every client's clean-up.
async fn raw_notification(stack: &Stack, path: &str) -> StatusCode {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let request = stack.client().as_registry(Method::PUT, URL).build().unwrap();
    let secret = request.headers()["authorization"].to_str().unwrap().to_owned();
    let address = format!("{}:{}", request.url().host_str().unwrap(), request.url().port().unwrap());
    let mut connection = tokio::net::TcpStream::connect(&address).await.unwrap();
    let body = r#"{"status":"pre_import_failed"}"#;
    let head = format!(
        "PUT /api/v4/internal/registry/repositories/{path}/migration/status HTTP/1.1\r\nHost: {address}\r\n\
         Authorization: {secret}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.unwrap();
    let text = String::from_utf8_lossy(&answer);
    let code = text.split(' ').nth(1).and_then(|code| code.parse().ok());
    StatusCode::from_u16(code.unwrap_or_else(|| panic!("{path}: {text}"))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn decodes_a_path_once_and_refuses_impossible_ones() {
    let stack = stack().await.unwrap();
    // Or what has failed would be started again meanwhile.
    sql(&stack, "UPDATE migration_settings SET capacity = 0").await.unwrap();
    let before = data_api_calls(&stack);
    let long = "a".repeat(300);
    for path in [
        "..",
        "group/../image",
        "group//image",
        "group/%2e%2e/image",
        "group%3Fimage",
        "group%252Fimage",
        "gr%C3%BCn/image",
        "group/im%00age",
        "group/image%",
        "%ff",
        long.as_str(),
    ] {
        assert_eq!(raw_notification(&stack, path).await, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(data_api_calls(&stack), before);
    for (number, path) in
        ["group%2Fimage", "Group/IMAGE", "gr%6Fup/image", "group/image"].into_iter().enumerate()
    {
        if number == 0 {
            given(&stack, "group/image", "pre_importing", None).await.unwrap();
        }
        let expected = if number == 0 { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        assert_eq!(raw_notification(&stack, path).await, expected, "{path}");
    }
    stack.stop().await.unwrap();
}
