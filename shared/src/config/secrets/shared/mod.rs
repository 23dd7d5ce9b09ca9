use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use subtle::{Choice, ConstantTimeEq};
use tokio::{sync::Mutex, time::sleep};

use super::{
    SecretMaxAge, check_value,
    misses::Misses,
    reader::{SecretError, SecretReader, Version},
};
use crate::{config::SecretArn, freshness::FetchedAt};

/// How long what was read last is believed while the store does not answer.
const HELD_WITHOUT_THE_STORE: Duration = Duration::from_secs(3600);

/// How long a store that did not answer is taken for silent: a caller waits for it once, and the next ones do not.
const SILENT_FOR: Duration = Duration::from_secs(10);

/// How often the store is read at most, whoever asks: guessing must not become load on it.
pub(super) const READ_EACH: Duration = Duration::from_secs(2);

/// How often a caller with an unknown value may wait until the store can be read again. The others are refused at
/// once: who sends garbage must not keep processes busy.
const WAITS_EACH: Duration = Duration::from_secs(30);

/// A secret that a caller shows. It is read at the start, and a value that does not match makes it be read again,
/// since it may be newer than ours. For as long as a rotation lasts, the previous value is accepted as well.
///
/// A match is believed for as long as [`SecretMaxAge`] says after the reading, by either clock. From half of that on
/// the secret is read again beside the request; past it, before the answer.
#[derive(Debug)]
pub struct SharedSecret {
    held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    accepted: RwLock<Accepted>,
    store: Option<Store>,
}

#[derive(Debug)]
struct Accepted {
    values: Vec<SecretString>,
    read: FetchedAt,
}

#[derive(Debug)]
struct Store {
    reader: SecretReader,
    arn: SecretArn,
    max_age: Duration,
    asked: Mutex<Asked>,
}

/// What came of asking the store.
#[derive(Debug, Default)]
struct Asked {
    last: Option<(FetchedAt, Result<(), SecretError>)>,
    misses: Misses,
    waited: Option<FetchedAt>,
}

impl SharedSecret {
    /// Reads the secret's current value, within the time that a process has to start.
    ///
    /// # Errors
    /// [`SecretError`] when it cannot be read, is empty, or is no single value.
    pub async fn load(
        reader: SecretReader,
        arn: SecretArn,
        max_age: SecretMaxAge,
    ) -> Result<Self, SecretError> {
        let current = reader.read_at_start(&arn).await?;
        check_value(&arn, &current)?;
        let store = Store { reader, arn, max_age: max_age.duration(), asked: Mutex::default() };
        Ok(Self::holding(current, Some(store)))
    }

    /// A secret known otherwise, that no store changes. An empty one matches nothing.
    #[must_use]
    pub fn fixed(secret: SecretString) -> Self {
        Self::holding(secret, None)
    }

    fn holding(secret: SecretString, store: Option<Store>) -> Self {
        let accepted = RwLock::new(Accepted { values: vec![secret], read: FetchedAt::now() });
        Self { held: Arc::new(Held { accepted, store }) }
    }

    /// Whether `presented` is the secret. The comparison takes the same time for every value of the same length.
    ///
    /// # Errors
    /// [`SecretError`] when nobody knows whether `presented` is right: the store cannot be read, and what was read
    /// before does not match or is too old.
    pub async fn matches(&self, presented: &[u8]) -> Result<bool, SecretError> {
        let (accepted, read) = self.held.look(presented);
        let Some(store) = &self.held.store else {
            return Ok(accepted);
        };
        if !accepted {
            return self.held.ask_about(store, presented).await;
        }
        if read.is_older_than(store.max_age) {
            return self.held.accept_again(store, presented).await;
        }
        if read.is_older_than(store.max_age / 2) {
            self.renew_beside();
        }
        Ok(true)
    }

    /// Reads the secret while the request goes on.
    fn renew_beside(&self) {
        let held = Arc::clone(&self.held);
        tokio::spawn(async move {
            let Some(store) = &held.store else { return };
            // Somebody else is reading it otherwise.
            let Ok(mut asked) = store.asked.try_lock() else { return };
            if asked.is_due() {
                // A failure is reported by the request that needs the new value.
                let _ = held.read(store, &mut asked).await;
            }
        });
    }
}

impl Held {
    /// Whether the value is among those that were read last, and when that was.
    fn look(&self, presented: &[u8]) -> (bool, FetchedAt) {
        let accepted = self.accepted.read().unwrap_or_else(PoisonError::into_inner);
        let any = accepted.values.iter().map(SecretString::expose_secret).filter(|value| !value.is_empty());
        let found = any.fold(Choice::from(0), |found, value| found | value.as_bytes().ct_eq(presented));
        (found.into(), accepted.read)
    }

    /// Whether a value is right that does not match what was read last.
    async fn ask_about(&self, store: &Store, presented: &[u8]) -> Result<bool, SecretError> {
        let mut asked = store.asked.lock().await;
        // Another caller may have read it while this one waited for the lock.
        if self.look(presented).0 {
            return Ok(true);
        }
        if asked.misses.knows(presented) {
            return Ok(false);
        }
        if let Some((at, outcome)) = asked.last.as_ref().filter(|(at, _)| !at.is_older_than(READ_EACH)) {
            outcome.clone()?;
            if asked.waited.is_some_and(|waited| !waited.is_older_than(WAITS_EACH)) {
                return Ok(false);
            }
            let left = at.left_of(READ_EACH);
            asked.waited = Some(FetchedAt::now());
            sleep(left).await;
        }
        self.read(store, &mut asked).await?;
        let right = self.look(presented).0;
        if !right {
            asked.misses.remember(presented);
        }
        Ok(right)
    }

    /// Whether a value is still right that matches what was read too long ago.
    async fn accept_again(&self, store: &Store, presented: &[u8]) -> Result<bool, SecretError> {
        let mut asked = store.asked.lock().await;
        if self.look(presented).1.is_older_than(store.max_age) {
            let outcome = match asked.known_failure() {
                Some(error) => Err(error),
                None => self.read(store, &mut asked).await,
            };
            match outcome {
                Err(error @ SecretError::Unavailable { .. })
                    if !self.look(presented).1.is_older_than(HELD_WITHOUT_THE_STORE) =>
                {
                    tracing::warn!(%error, counter = "secret_unread", "secret could not be read again; using the value read before");
                }
                outcome => outcome?,
            }
        }
        Ok(self.look(presented).0)
    }

    async fn read(&self, store: &Store, asked: &mut Asked) -> Result<(), SecretError> {
        let outcome = store.read_versions().await.map(|values| {
            let accepted = Accepted { values, read: FetchedAt::now() };
            *self.accepted.write().unwrap_or_else(PoisonError::into_inner) = accepted;
        });
        asked.last = Some((FetchedAt::now(), outcome.clone()));
        outcome
    }
}

impl Asked {
    /// Whether the store may be read again.
    fn is_due(&self) -> bool {
        self.last.as_ref().is_none_or(|(at, _)| at.is_older_than(READ_EACH))
    }

    /// Why the store could not be read a moment ago.
    fn known_failure(&self) -> Option<SecretError> {
        let (at, outcome) = self.last.as_ref()?;
        let error = outcome.as_ref().err()?;
        let unavailable = matches!(error, SecretError::Unavailable { .. });
        let known_for = if unavailable { SILENT_FOR } else { READ_EACH };
        (!at.is_older_than(known_for)).then(|| error.clone())
    }
}

impl Store {
    async fn read_versions(&self) -> Result<Vec<SecretString>, SecretError> {
        let current = self.reader.read_version(&self.arn, Version::Current);
        let previous = self.reader.read_version(&self.arn, Version::Previous);
        let (current, previous) = tokio::join!(current, previous);
        let current = current?;
        if let Some(current) = &current {
            check_value(&self.arn, current)?;
        }
        Ok(current.into_iter().chain(previous?).collect())
    }
}

#[cfg(test)]
impl SharedSecret {
    /// Lets everything that is known grow older, as it does while a process is frozen.
    pub(super) async fn freeze_for(&self, time: Duration) {
        self.shift(|at| at.frozen_for(time)).await;
    }

    /// Lets the wall clock be set back, so that everything that is known seems to come from later.
    pub(super) async fn set_clock_back(&self, time: Duration) {
        self.shift(|at| at.set_back(time)).await;
    }

    async fn shift(&self, shifted: impl Fn(FetchedAt) -> FetchedAt) {
        let store = self.held.store.as_ref().unwrap();
        let mut asked = store.asked.lock().await;
        let mut accepted = self.held.accepted.write().unwrap();
        accepted.read = shifted(accepted.read);
        asked.last = asked.last.take().map(|(at, outcome)| (shifted(at), outcome));
        asked.waited = asked.waited.map(&shifted);
        asked.misses.shift(shifted);
    }
    /// As if somebody had just waited for the store.
    pub(super) async fn wait_was_taken(&self) {
        self.held.store.as_ref().unwrap().asked.lock().await.waited = Some(FetchedAt::now());
    }
}

#[cfg(test)]
mod tests;
