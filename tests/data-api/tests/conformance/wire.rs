//! What no SDK would send: the wire itself.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use local_data_api::{Config, DataApi, Limits};

use crate::stage::{cluster_arn, secret_arn};

struct Answer {
    status: u16,
    headers: String,
    body: Value,
}

const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=local/20260101/eu-central-1/rds-data/aws4_request, \
                      SignedHeaders=host;x-amz-date, \
                      Signature=0000000000000000000000000000000000000000000000000000000000000000";

async fn send(server: &DataApi, head: &str, authorization: Option<&str>, body: &str) -> Answer {
    let address = server.url().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let signature = authorization.map(|value| format!("Authorization: {value}\r\n")).unwrap_or_default();
    let length = body.len();
    let request = format!(
        "{head} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         {signature}Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (headers, body) = text.split_once("\r\n\r\n").unwrap();
    Answer {
        status: headers.split(' ').nth(1).unwrap().parse().unwrap(),
        headers: format!("{}\r\n", headers.to_ascii_lowercase()),
        body: serde_json::from_str(body).unwrap_or(Value::Null),
    }
}

/// The status of a signed request.
pub async fn post(url: &str, path: &str, body: &str) -> u16 {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Authorization: {SIGNED}\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap().parse().unwrap()
}

/// The status and the body of a GET.
pub async fn get(url: &str, path: &str) -> (u16, Value) {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
}

async fn server() -> DataApi {
    DataApi::start(Config::default()).await.unwrap()
}

#[tokio::test]
async fn a_request_without_a_signature_is_refused() {
    let server = server().await;
    let answer = send(&server, "POST /Execute", None, "{}").await;
    assert_eq!(
        (answer.status, answer.body["__type"].as_str()),
        (403, Some("MissingAuthenticationTokenException"))
    );
    assert!(server.journal().is_empty());
}

#[tokio::test]
async fn a_request_signed_for_another_service_is_refused() {
    let server = server().await;
    let signature = SIGNED.replace("rds-data", "rds");
    let answer = send(&server, "POST /Execute", Some(&signature), "{}").await;
    assert_eq!((answer.status, answer.body["__type"].as_str()), (403, Some("InvalidSignatureException")));
}

#[tokio::test]
async fn an_operation_that_is_none_is_unknown() {
    let server = server().await;
    for head in ["POST /ExecuteSql", "POST /execute", "GET /Execute", "POST /Execute/"] {
        let answer = send(&server, head, Some(SIGNED), "{}").await;
        assert_eq!(
            (answer.status, answer.body["__type"].as_str()),
            (404, Some("UnknownOperationException")),
            "{head}"
        );
    }
}

#[tokio::test]
async fn a_body_that_is_no_request_is_refused() {
    let server = server().await;
    for body in ["", "select 1", "[]", r#"{"sql":1}"#, r#"{"parameters":{"name":"a"}}"#] {
        let answer = send(&server, "POST /Execute", Some(SIGNED), body).await;
        assert_eq!(
            (answer.status, answer.body["__type"].as_str()),
            (400, Some("SerializationException")),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_missing_member_is_named() {
    let server = server().await;
    let complete = json!({
        "resourceArn": cluster_arn("writer"),
        "secretArn": secret_arn("owner"),
        "sql": "select 1",
        "transactionId": "some",
    });
    for (operation, members) in [
        ("Execute", vec!["resourceArn", "secretArn", "sql"]),
        ("BatchExecute", vec!["resourceArn", "secretArn", "sql"]),
        ("BeginTransaction", vec!["resourceArn", "secretArn"]),
        ("CommitTransaction", vec!["resourceArn", "secretArn"]),
        ("RollbackTransaction", vec!["resourceArn", "secretArn"]),
    ] {
        for member in members {
            let mut request = complete.clone();
            request.as_object_mut().unwrap().remove(member);
            let answer =
                send(&server, &format!("POST /{operation}"), Some(SIGNED), &request.to_string()).await;
            // With the cluster unknown to this server, a missing secret is told first or not at all.
            let told = answer.body["message"].as_str().unwrap_or_default();
            assert_eq!(
                answer.body["__type"],
                json!("ValidationException"),
                "{operation} without {member}: {told}"
            );
            assert!(told.contains(&format!("at '{member}'")), "{operation} without {member}: {told}");
        }
    }
}

#[tokio::test]
async fn an_error_has_its_name_in_header_and_body() {
    let server = server().await;
    let request =
        json!({ "resourceArn": cluster_arn("x"), "secretArn": secret_arn("y"), "sql": "select 1; select 2" });
    let answer = send(&server, "POST /Execute", Some(SIGNED), &request.to_string()).await;
    assert!(answer.headers.contains("x-amzn-errortype: validationexception\r\n"), "{}", answer.headers);
    assert!(answer.headers.contains("x-amzn-requestid: "), "{}", answer.headers);
    assert_eq!(answer.body["__type"], json!("ValidationException"));
}

#[tokio::test]
async fn a_value_with_two_members_or_none_is_refused() {
    let server = server().await;
    for value in [json!({}), json!({ "longValue": 1, "stringValue": "1" }), json!({ "isNull": false })] {
        let request = json!({
            "resourceArn": cluster_arn("writer"),
            "secretArn": secret_arn("owner"),
            "sql": "select :a",
            "parameters": [{ "name": "a", "value": value }],
        });
        let answer = send(&server, "POST /Execute", Some(SIGNED), &request.to_string()).await;
        assert_eq!(answer.body["__type"], json!("ValidationException"), "{value}");
    }
}

#[tokio::test]
async fn a_fault_that_is_misspelt_is_refused() {
    let server = server().await;
    for fault in [json!({ "effect": "no-such" }), json!({ "effect": "oversized", "tiems": 1 }), json!({})] {
        let answer = send(&server, "POST /-/faults", None, &fault.to_string()).await;
        assert_eq!(answer.status, 400, "{fault}");
    }
    let answer = send(&server, "GET /-/faults", None, "").await;
    assert_eq!(answer.body, json!([]));
}

#[tokio::test]
async fn a_head_that_does_not_end_is_given_up() {
    let limits = Limits { header: std::time::Duration::from_millis(200), ..Limits::default() };
    let server = DataApi::start(Config { limits, ..Config::default() }).await.unwrap();
    let mut stream = TcpStream::connect(server.url().trim_start_matches("http://")).await.unwrap();
    stream.write_all(b"POST /Execute HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.unwrap();
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(std::time::Duration::from_secs(30), stream.read_to_end(&mut rest));
    closed.await.unwrap().unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let limits = Limits { request: std::time::Duration::from_millis(200), ..Limits::default() };
    let server = DataApi::start(Config { limits, ..Config::default() }).await.unwrap();
    let mut stream = TcpStream::connect(server.url().trim_start_matches("http://")).await.unwrap();
    stream.write_all(b"POST /Execute HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{").await.unwrap();
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(std::time::Duration::from_secs(30), stream.read_to_end(&mut rest));
    closed.await.unwrap().unwrap();
    assert!(rest.is_empty());
    server.stop().await;
}
