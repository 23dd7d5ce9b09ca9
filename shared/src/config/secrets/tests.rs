use std::time::Duration;

use secrecy::ExposeSecret;

use super::{SecretError, SecretMaxAge, SecretReader, SharedSecret, store::Store};

async fn store(current: &str) -> (Store, SecretReader) {
    let store = Store::start().await;
    store.hold("AWSCURRENT", current);
    let reader = SecretReader::new(&store.sdk_config().await);
    (store, reader)
}

#[tokio::test]
async fn reads_a_secret_by_arn_and_strips_its_line_break() {
    let (store, reader) = store("hunter2\n").await;
    assert_eq!(reader.read(&Store::arn()).await.unwrap().expose_secret(), "hunter2");
    assert_eq!(store.asked(), ["AWSCURRENT"]);
}

#[tokio::test]
async fn waits_longer_for_a_slow_store_while_the_process_starts() {
    let (store, reader) = store("hunter2").await;
    store.slow_down(Duration::from_millis(1400));
    let arn = Store::arn();
    let (at_start, beside) = tokio::join!(reader.read_at_start(&arn), reader.read(&arn));
    assert_eq!(at_start.unwrap().expose_secret(), "hunter2");
    assert!(
        matches!(beside, Err(SecretError::Unavailable { .. })),
        "a caller waits for this one: {beside:?}"
    );
}

#[tokio::test]
async fn an_empty_secret_is_refused() {
    let (_store, reader) = store(" \n").await;
    let error = SharedSecret::load(reader, Store::arn(), SecretMaxAge::default()).await.unwrap_err();
    assert_eq!(error, SecretError::NoText { arn: Store::arn() });
}

#[tokio::test]
async fn a_store_that_refuses_is_an_error_with_its_words() {
    let (store, reader) = store("hunter2").await;
    store.break_down(true);
    let text = reader.read(&Store::arn()).await.unwrap_err().to_string();
    assert!(
        text.contains("secret:notification cannot be read: DecryptionFailure: told by the store"),
        "{text}"
    );
}

#[tokio::test]
async fn a_store_that_is_not_there_is_an_error() {
    let vacant = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (_store, _) = store("x").await;
    let sdk = _store.sdk_config().await.into_builder().endpoint_url(format!("http://{vacant}")).build();
    let error = SecretReader::new(&sdk).read(&Store::arn()).await.unwrap_err();
    assert!(matches!(error, SecretError::Unavailable { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.ends_with("the store cannot be reached"), "{text}");
}

#[tokio::test]
async fn a_store_that_is_busy_or_broken_is_told_from_one_that_refuses() {
    let (store, reader) = store("hunter2").await;
    for (status, kind, later) in [
        (500, "InternalServiceError", true),
        (503, "", true),
        (400, "ThrottlingException", true),
        (429, "SlowDown", true),
        (400, "AccessDeniedException", false),
        (400, "ResourceNotFoundException", false),
        (400, "DecryptionFailure", false),
        (400, "UnrecognizedClientException", false),
    ] {
        store.refuse(Some((status, kind)));
        let error = reader.read(&Store::arn()).await.unwrap_err();
        assert_eq!(matches!(error, SecretError::Unavailable { .. }), later, "{status} {kind}: {error:?}");
        assert_eq!(matches!(error, SecretError::Unreadable { .. }), !later, "{status} {kind}: {error:?}");
    }
    store.refuse(None);
    assert!(reader.read(&Store::arn()).await.is_ok(), "nothing of it is kept");

    // Nobody was asked, since there is nothing to sign with: somebody has to repair that.
    let mut nobody = store.sdk_config().await.into_builder();
    nobody.set_credentials_provider(None);
    let error = SecretReader::new(&nobody.build()).read(&Store::arn()).await.unwrap_err();
    assert!(matches!(error, SecretError::Unreadable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_store_that_hangs_is_given_up() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_store, _) = store("x").await;
    let url = format!("http://{}", silent.local_addr().unwrap());
    let sdk = _store.sdk_config().await.into_builder().endpoint_url(url).build();
    let began = std::time::Instant::now();
    let error = SecretReader::new(&sdk).read(&Store::arn()).await.unwrap_err();
    assert!(matches!(error, SecretError::Unavailable { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.ends_with("no answer in time"), "{text}");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test]
async fn refuses_a_value_as_the_console_stores_it() {
    let (store, reader) = store(r#"{"secret":"hunter2"}"#).await;
    let error = SharedSecret::load(reader.clone(), Store::arn(), SecretMaxAge::default()).await.unwrap_err();
    assert!(matches!(error, SecretError::Form { .. }), "{error}");
    // Later too: it would match nobody.
    store.hold("AWSCURRENT", "hunter2");
    let secret = SharedSecret::load(reader, Store::arn(), SecretMaxAge::default()).await.unwrap();
    store.hold("AWSCURRENT", r#"{"secret":"hunter3"}"#);
    let error = secret.matches(b"hunter3").await.unwrap_err().to_string();
    assert!(error.contains("is a JSON object") && !error.contains("hunter"), "{error}");
}
