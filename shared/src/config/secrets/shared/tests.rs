//! How long a secret that a caller shows is believed, and how often the store is asked.

use std::time::Duration;

use secrecy::SecretString;

use super::SharedSecret;
use crate::{
    config::secrets::{SecretError, SecretMaxAge, SecretReader, shared::READ_EACH, store::Store},
    endpoint::scripted_server::within,
    telemetry::capture::Capture,
};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A process that has just read `current`, and its store.
async fn loaded(current: &str) -> (Store, SharedSecret) {
    let store = Store::start().await;
    store.hold("AWSCURRENT", current);
    let reader = SecretReader::new(&store.sdk_config().await);
    let secret = SharedSecret::load(reader, Store::arn(), SecretMaxAge::default()).await.unwrap();
    assert_eq!(store.asked(), ["AWSCURRENT"], "once, to begin with");
    (store, secret)
}

impl Store {
    fn rotate(&self, previous: &'static str, current: &str) {
        self.hold("AWSPREVIOUS", previous);
        self.hold("AWSCURRENT", current);
    }
}

/// What has happened to the store since the process read it.
#[derive(Clone, Copy, Debug)]
enum Happened {
    Nothing,
    RotatedOnce,
    RotatedTwice,
    /// It does not answer.
    Silent,
    /// It refuses.
    Refuses,
    /// Somebody emptied the secret.
    Emptied,
}

impl Happened {
    fn to(self, store: &Store) {
        match self {
            Self::Nothing => {}
            Self::RotatedOnce => store.rotate("first", "second"),
            Self::RotatedTwice => store.rotate("second", "third"),
            Self::Silent => store.refuse(Some((500, "InternalServiceError"))),
            Self::Refuses => store.refuse(Some((400, "AccessDeniedException"))),
            Self::Emptied => store.hold("AWSCURRENT", " "),
        }
    }
}

/// The answer to a caller who shows the first secret, and whether the store is asked before it.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Right,
    RightAndAsked,
    WrongAndAsked,
    NobodyKnows,
}

#[tokio::test]
async fn believes_a_match_for_its_age_and_then_asks() {
    use Happened::{Emptied, Nothing, Refuses, RotatedOnce, RotatedTwice, Silent};
    use Told::{NobodyKnows, Right, RightAndAsked, WrongAndAsked};
    for (frozen_for, happened, expected) in [
        // Fresh: whatever has happened is not noticed yet.
        (0, Nothing, Right),
        (149, RotatedOnce, Right),
        (149, RotatedTwice, Right),
        (149, Silent, Right),
        (149, Refuses, Right),
        // Aged, by the wall clock: the process was frozen.
        (300, Nothing, RightAndAsked),
        (300, RotatedOnce, RightAndAsked),
        (300, RotatedTwice, WrongAndAsked),
        (300, Silent, RightAndAsked),
        (300, Refuses, NobodyKnows),
        (300, Emptied, NobodyKnows),
        (3599, RotatedTwice, WrongAndAsked),
        (3590, Silent, RightAndAsked),
        // Nothing is believed for longer than an hour.
        (3600, Silent, NobodyKnows),
        (86_400, Silent, NobodyKnows),
        (86_400, RotatedOnce, RightAndAsked),
    ] {
        let (store, secret) = loaded("first").await;
        secret.freeze_for(seconds(frozen_for)).await;
        happened.to(&store);
        let answer = secret.matches(b"first").await;
        let asked = store.asked().len() > 1;
        let matched = match answer {
            Ok(true) if asked => RightAndAsked,
            Ok(true) => Right,
            Ok(false) if asked => WrongAndAsked,
            Err(_) if asked => NobodyKnows,
            other => panic!("{other:?} without asking"),
        };
        assert_eq!(matched, expected, "{frozen_for} s, {happened:?}");
    }
}

#[tokio::test]
async fn ends_the_first_of_three_secrets_for_who_shows_no_other() {
    let (store, secret) = loaded("first").await;
    store.rotate("first", "second");
    store.rotate("second", "third");
    for frozen_for in [100, 100, 100] {
        secret.freeze_for(seconds(frozen_for)).await;
        if secret.matches(b"first").await.unwrap() {
            continue;
        }
        assert_eq!(secret.matches(b"second").await, Ok(true));
        assert_eq!(secret.matches(b"third").await, Ok(true));
        return;
    }
    panic!("the first secret still works after its age");
}

#[tokio::test]
async fn asks_again_once_the_wall_clock_was_set_back() {
    let (store, secret) = loaded("first").await;
    store.rotate("second", "third");
    secret.set_clock_back(seconds(60)).await;
    assert_eq!(secret.matches(b"first").await, Ok(false));
}

#[tokio::test]
async fn reads_the_secret_beside_a_request_from_half_its_age_on() {
    let (store, secret) = loaded("first").await;
    store.rotate("second", "third");
    secret.freeze_for(seconds(150)).await;
    assert_eq!(secret.matches(b"first").await, Ok(true), "this request does not wait for it");
    let asked = async {
        while store.asked().len() < 3 {
            tokio::task::yield_now().await;
        }
    };
    within(seconds(20), asked).await;
    // Whoever comes now waits for the reading that goes on, and starts none.
    assert_eq!(secret.matches(b"third").await, Ok(true));
    assert_eq!(store.asked().len(), 3, "both versions, once");
}

#[tokio::test]
async fn waits_for_a_silent_store_once_and_counts_each_belief() {
    let log = Capture::begin("test", crate::telemetry::LogLevel::default());
    let (store, secret) = loaded("first").await;
    store.refuse(Some((503, "")));
    secret.freeze_for(seconds(300)).await;
    assert_eq!(secret.matches(b"first").await, Ok(true));
    let asked = store.asked().len();
    assert_eq!(secret.matches(b"first").await, Ok(true));
    assert_eq!(store.asked().len(), asked, "the next one does not wait for it");
    let counted = |log: &Capture| log.text().matches(r#""counter":"secret_unread""#).count();
    assert_eq!(counted(&log), 2);
    secret.freeze_for(seconds(10)).await;
    assert_eq!(secret.matches(b"first").await, Ok(true));
    assert!(store.asked().len() > asked, "it is asked again after a while");
    store.refuse(None);
    secret.freeze_for(seconds(10)).await;
    assert_eq!(secret.matches(b"first").await, Ok(true));
    assert_eq!(counted(&log), 3, "read again, it is no longer counted");
    assert!(!log.text().contains("first"));
}

#[tokio::test]
async fn refuses_what_is_not_the_secret() {
    let (_store, secret) = loaded("hunter2").await;
    for wrong in [&b""[..], b"hunter", b"hunter22", b"Hunter2", b"\xff"] {
        assert_eq!(secret.matches(wrong).await, Ok(false), "{wrong:?}");
        secret.freeze_for(READ_EACH).await;
    }
}

#[tokio::test]
async fn takes_a_rotated_secret_at_once_and_the_one_before_it() {
    let (store, secret) = loaded("old").await;
    store.rotate("old", "new");
    assert_eq!(secret.matches(b"new").await, Ok(true));
    assert_eq!(secret.matches(b"old").await, Ok(true));
    assert_eq!(store.asked().len(), 3, "one to begin with, two on the mismatch");
}

#[tokio::test]
async fn takes_a_previous_secret_that_this_process_never_knew() {
    let (store, secret) = loaded("new").await;
    store.hold("AWSPREVIOUS", "old");
    assert_eq!(secret.matches(b"old").await, Ok(true));
}

#[tokio::test]
async fn takes_a_secret_rotated_just_after_a_strangers_wrong_one() {
    let (store, secret) = loaded("old").await;
    assert_eq!(secret.matches(b"garbage").await, Ok(false));
    store.rotate("old", "new");
    // It waits until the store may be read again. The clock stands still meanwhile, so that the test does not.
    let waiting = secret.matches(b"new");
    let later = async {
        tokio::time::pause();
        tokio::time::advance(READ_EACH).await;
        tokio::time::resume();
    };
    let (right, ()) = tokio::join!(biased; waiting, later);
    assert_eq!(right, Ok(true));
}

#[tokio::test]
async fn guessing_reads_the_store_once_in_two_seconds() {
    let (store, secret) = loaded("hunter2").await;
    let guess = async |number: usize| secret.matches(format!("guess {number}").as_bytes()).await;
    assert_eq!(guess(0).await, Ok(false));
    // One of them may wait; it has.
    secret.wait_was_taken().await;
    for number in 0..100 {
        assert_eq!(guess(number).await, Ok(false));
    }
    assert_eq!(store.asked().len(), 3);
    // Refused without having been asked about, it is asked about now; and it alone.
    secret.freeze_for(READ_EACH).await;
    assert_eq!(guess(0).await, Ok(false), "the store did not know it a moment ago");
    assert_eq!(store.asked().len(), 3);
    assert_eq!(guess(1).await, Ok(false));
    assert_eq!(store.asked().len(), 5);
    // A process that was frozen asks about each again.
    secret.freeze_for(seconds(10)).await;
    store.rotate("hunter2", "guess 0");
    assert_eq!(guess(0).await, Ok(true));
}

#[tokio::test]
async fn knows_nothing_of_a_new_value_while_the_store_cannot_be_read() {
    let (store, secret) = loaded("old").await;
    store.break_down(true);
    assert!(matches!(secret.matches(b"new").await, Err(SecretError::Unreadable { .. })));
    assert!(matches!(secret.matches(b"new").await, Err(SecretError::Unreadable { .. })));
    assert_eq!(store.asked().len(), 3, "the second mismatch did not ask");
    assert_eq!(secret.matches(b"old").await, Ok(true));
    store.break_down(false);
    store.hold("AWSCURRENT", "new");
    secret.freeze_for(READ_EACH).await;
    assert_eq!(secret.matches(b"new").await, Ok(true));
}

#[tokio::test]
async fn an_empty_fixed_secret_matches_nothing() {
    let secret = SharedSecret::fixed(SecretString::from(""));
    assert_eq!(secret.matches(b"").await, Ok(false));
}

#[tokio::test]
async fn no_debug_output_shows_a_secret() {
    let (_store, loaded) = loaded("hunter2").await;
    assert_eq!(loaded.matches(b"hunter3").await, Ok(false));
    let fixed = SharedSecret::fixed(SecretString::from("hunter2"));
    let shown = format!("{loaded:?} {loaded:#?} {fixed:?}");
    assert!(!shown.contains("hunter"), "{shown}");
    assert!(shown.contains("REDACTED"), "{shown}");
}
