//! Bodies and paths that no honest caller sends.

use local::Stack;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use suite::{data_api_calls, given, row, sql, stack};

const URL: &str = "/api/v4/internal/registry/repositories/group/image/migration/status";

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_notification_gets_a_clear_answer_and_no_database_call() {
    let stack = stack().await.unwrap();
    given(&stack, "group/image", "pre_importing", None).await.unwrap();
    let before = (row(&stack, "group/image").await.unwrap(), data_api_calls(&stack));
    let large = format!(r#"{{"status":"pre_import_complete","detail":"{}"}}"#, "x".repeat(1 << 20));
    let json = "application/json";
    for (name, kind, body, status) in [
        ("empty", json, Vec::new(), 400),
        ("not JSON", json, b"status=pre_import_complete".to_vec(), 400),
        ("an array", json, b"[]".to_vec(), 400),
        ("no status", json, b"{}".to_vec(), 400),
        ("a status of another type", json, br#"{"status":7}"#.to_vec(), 400),
        ("half of it", json, br#"{"status":"pre_import"#.to_vec(), 400),
        ("more than it", json, br#"{"status":"pre_import_complete"}{}"#.to_vec(), 400),
        ("another content type", "text/xml", br#"{"status":"pre_import_complete"}"#.to_vec(), 415),
        ("1 MiB", json, large.into_bytes(), 413),
    ] {
        let request = stack.client().as_registry(Method::PUT, URL).header("Content-Type", kind).body(body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{name}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{name}");
        let body: Value = answer.json().await.unwrap();
        assert!(body["message"].as_str().unwrap().starts_with(&status.to_string()), "{name}: {body}");
    }
    // cargo lambda itself cannot pass on what it takes for text and is none: 500 in its own name. Deployed, such
    // a body arrives base64-encoded; shared::web's tests show what it is answered then.
    let request =
        stack.client().as_registry(Method::PUT, URL).header("Content-Type", "application/octet-stream");
    let answer = request.body(vec![b'{', 0xff, b'}']).send().await.unwrap();
    assert!(answer.status().is_client_error(), "{}", answer.status());
    assert_eq!((row(&stack, "group/image").await.unwrap(), data_api_calls(&stack)), before);
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
async fn a_path_is_decoded_once_and_an_impossible_one_is_not_found_without_a_database_call() {
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
