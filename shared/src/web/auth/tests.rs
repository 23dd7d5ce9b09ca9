use http::{HeaderMap, HeaderValue, StatusCode, header::AUTHORIZATION};
use secrecy::SecretString;

use super::{operator, registry};
use crate::{
    config::secrets::{SecretMaxAge, SecretReader, SharedSecret, store::Store},
    telemetry::capture::Capture,
    web::RequestId,
};

fn secret() -> SharedSecret {
    SharedSecret::fixed(SecretString::from("hunter2"))
}

fn headers(values: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

async fn registry_status(values: &[&[u8]]) -> Option<StatusCode> {
    registry(&headers(values), &secret()).await.err().map(|problem| problem.status())
}

async fn operator_status(values: &[&[u8]]) -> Option<StatusCode> {
    operator(&headers(values), &secret()).await.err().map(|problem| problem.status())
}

#[tokio::test]
async fn the_registry_shows_the_bare_secret() {
    assert_eq!(registry_status(&[b"hunter2"]).await, None);
}

#[tokio::test]
async fn a_secret_that_is_missing_empty_wrong_or_ambiguous_is_refused() {
    let none: &[&[u8]] = &[];
    let refused: [&[&[u8]]; 13] = [
        none,
        &[b""],
        &[b" "],
        &[b"hunter"],
        &[b"hunter22"],
        &[b"HUNTER2"],
        &[b"Bearer hunter2"],
        &[b"hunter2,hunter2"],
        &[b"hunter2", b"hunter2"],
        &[b"hunter2", b"other"],
        &[b"other", b"hunter2"],
        &[b"hunter2", b""],
        &[b"\xff\xfe"],
    ];
    for values in refused {
        assert_eq!(registry_status(values).await, Some(StatusCode::UNAUTHORIZED), "{values:?}");
    }
}

#[tokio::test]
async fn an_operator_shows_a_bearer_token() {
    for value in [&b"Bearer hunter2"[..], b"bearer hunter2", b"BEARER  hunter2"] {
        assert_eq!(operator_status(&[value]).await, None, "{value:?}");
    }
}

#[tokio::test]
async fn refuses_other_tokens_and_names_the_scheme() {
    for value in
        [&b"hunter2"[..], b"Basic hunter2", b"Bearer", b"Bearer ", b"Bearer hunter3", b"Bearerhunter2"]
    {
        assert_eq!(operator_status(&[value]).await, Some(StatusCode::UNAUTHORIZED), "{value:?}");
    }
    let problem = operator(&HeaderMap::new(), &secret()).await.unwrap_err();
    let response = problem.into_response(&RequestId::new("r"));
    assert!(response.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer "));
}

#[tokio::test]
async fn answers_503_when_the_secret_cannot_be_checked() {
    let log = Capture::begin("test", crate::telemetry::LogLevel::default());
    let store = Store::start().await;
    store.hold("AWSCURRENT", "hunter2");
    let reader = SecretReader::new(&store.sdk_config().await);
    let secret = SharedSecret::load(reader, Store::arn(), SecretMaxAge::default()).await.unwrap();
    store.break_down(true);
    let problem = registry(&headers(&[b"presented-value"]), &secret).await.unwrap_err();
    assert_eq!(problem.status(), StatusCode::SERVICE_UNAVAILABLE);
    let response = problem.into_response(&RequestId::new("r"));
    assert_eq!(response.headers()["retry-after"], "1");
    let shown = format!("{}{:?}", log.text(), response);
    assert!(log.line("a caller could not be authenticated")["error"].is_string());
    assert!(!shown.contains("presented-value") && !shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn what_says_nothing_is_refused_without_asking_the_store() {
    let store = Store::start().await;
    store.hold("AWSCURRENT", "hunter2");
    let reader = SecretReader::new(&store.sdk_config().await);
    let secret = SharedSecret::load(reader, Store::arn(), SecretMaxAge::default()).await.unwrap();
    for values in [&[&b""[..]][..], &[], &[b"one", b"two"]] {
        assert!(registry(&headers(values), &secret).await.is_err());
        assert!(operator(&headers(values), &secret).await.is_err());
    }
    assert_eq!(store.asked().len(), 1, "once, to begin with");
}

#[tokio::test]
async fn callers_that_are_turned_away_leave_a_line_with_their_number() {
    let log = Capture::begin("test", crate::telemetry::LogLevel::default());
    // Another test may have had the line of this second.
    while !log.text().contains("callers without a valid secret") {
        assert!(registry(&headers(&[b"presented-value"]), &secret()).await.is_err());
        assert!(operator(&headers(&[b"Bearer presented-value"]), &secret()).await.is_err());
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let line = log.line("callers without a valid secret were refused");
    assert!(line["count"].as_u64().unwrap() >= 1 && line["level"] == "WARN", "{line}");
    assert!(!log.text().contains("presented-value"));
}
