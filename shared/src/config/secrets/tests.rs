use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::{SecretError, SecretReader, SharedSecret, shared::Limits, store::Store};

const ALWAYS: Limits = Limits { after_success: Duration::ZERO, after_failure: Duration::ZERO };
const ONCE: Limits =
    Limits { after_success: Duration::from_secs(600), after_failure: Duration::from_secs(600) };

async fn store(current: &str) -> (Store, SecretReader) {
    let store = Store::start().await;
    store.hold("AWSCURRENT", current);
    let reader = SecretReader::new(&store.sdk_config().await);
    (store, reader)
}

#[tokio::test]
async fn a_secret_is_read_by_its_arn_without_the_line_break_at_its_end() {
    let (store, reader) = store("hunter2\n").await;
    assert_eq!(reader.read(&Store::arn()).await.unwrap().expose_secret(), "hunter2");
    assert_eq!(store.asked(), ["AWSCURRENT"]);
}

#[tokio::test]
async fn an_empty_secret_is_refused() {
    let (_store, reader) = store(" \n").await;
    let error = SharedSecret::load(reader, Store::arn()).await.unwrap_err();
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
async fn the_right_value_matches_without_asking_again() {
    let (store, reader) = store("hunter2").await;
    let secret = SharedSecret::load_with(reader, Store::arn(), ALWAYS).await.unwrap();
    assert_eq!(secret.matches(b"hunter2").await, Ok(true));
    assert_eq!(store.asked(), ["AWSCURRENT"]);
}

#[tokio::test]
async fn a_wrong_value_does_not_match() {
    let (_store, reader) = store("hunter2").await;
    let secret = SharedSecret::load_with(reader, Store::arn(), ALWAYS).await.unwrap();
    for wrong in [&b""[..], b"hunter", b"hunter22", b"Hunter2", b"\xff"] {
        assert_eq!(secret.matches(wrong).await, Ok(false), "{wrong:?}");
    }
}

#[tokio::test]
async fn a_rotated_secret_matches_at_once_and_the_one_before_it_still_does() {
    let (store, reader) = store("old").await;
    let secret = SharedSecret::load_with(reader, Store::arn(), ONCE).await.unwrap();
    store.hold("AWSPREVIOUS", "old");
    store.hold("AWSCURRENT", "new");
    assert_eq!(secret.matches(b"new").await, Ok(true));
    assert_eq!(secret.matches(b"old").await, Ok(true));
    assert_eq!(store.asked().len(), 3, "one to begin with, two on the mismatch");
}

#[tokio::test]
async fn the_previous_value_matches_when_this_process_never_knew_it() {
    let (store, reader) = store("new").await;
    let secret = SharedSecret::load_with(reader, Store::arn(), ONCE).await.unwrap();
    store.hold("AWSPREVIOUS", "old");
    assert_eq!(secret.matches(b"old").await, Ok(true));
}

#[tokio::test]
async fn a_value_that_was_rotated_away_twice_matches_no_more() {
    let (store, reader) = store("first").await;
    let secret = SharedSecret::load_with(reader, Store::arn(), ALWAYS).await.unwrap();
    store.hold("AWSPREVIOUS", "second");
    store.hold("AWSCURRENT", "third");
    assert_eq!(secret.matches(b"third").await, Ok(true));
    assert_eq!(secret.matches(b"first").await, Ok(false));
}

#[tokio::test]
async fn guessing_does_not_reach_the_store_again_and_again() {
    let (store, reader) = store("hunter2").await;
    let secret = SharedSecret::load(reader, Store::arn()).await.unwrap();
    for _ in 0..20 {
        assert_eq!(secret.matches(b"guess").await, Ok(false));
    }
    assert_eq!(store.asked().len(), 3);
}

#[tokio::test]
async fn when_the_store_cannot_be_read_a_mismatch_is_an_error_and_the_right_value_still_matches() {
    let (store, reader) = store("hunter2").await;
    let secret = SharedSecret::load_with(reader, Store::arn(), ONCE).await.unwrap();
    store.break_down(true);
    assert!(matches!(secret.matches(b"new").await, Err(SecretError::Unreadable { .. })));
    assert!(matches!(secret.matches(b"new").await, Err(SecretError::Unreadable { .. })));
    assert_eq!(store.asked().len(), 3, "the second mismatch did not ask");
    assert_eq!(secret.matches(b"hunter2").await, Ok(true));
}

#[tokio::test]
async fn after_a_failure_the_store_is_asked_again_soon() {
    let (store, reader) = store("old").await;
    let limits = Limits { after_success: Duration::from_secs(600), after_failure: Duration::ZERO };
    let secret = SharedSecret::load_with(reader, Store::arn(), limits).await.unwrap();
    store.break_down(true);
    assert!(secret.matches(b"new").await.is_err());
    store.break_down(false);
    store.hold("AWSCURRENT", "new");
    assert_eq!(secret.matches(b"new").await, Ok(true));
}

#[test]
fn the_store_is_asked_at_most_every_30_seconds() {
    assert_eq!(Limits::default().after_success, Duration::from_secs(30));
}

#[tokio::test]
async fn an_empty_fixed_secret_matches_nothing() {
    let secret = SharedSecret::fixed(SecretString::from(""));
    assert_eq!(secret.matches(b"").await, Ok(false));
}

#[tokio::test]
async fn no_debug_output_shows_a_secret() {
    let (_store, reader) = store("hunter2").await;
    let loaded = SharedSecret::load(reader.clone(), Store::arn()).await.unwrap();
    let fixed = SharedSecret::fixed(SecretString::from("hunter2"));
    let read = reader.read(&Store::arn()).await.unwrap();
    let shown = format!("{loaded:?} {loaded:#?} {fixed:?} {reader:?} {read:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("REDACTED"), "{shown}");
}
