use std::{
    sync::{PoisonError, RwLock},
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use subtle::{Choice, ConstantTimeEq};
use tokio::{sync::Mutex, time::Instant};

use super::reader::{SecretError, SecretReader, Version};
use crate::config::SecretArn;

/// A secret that a caller shows. It is read once; a value that does not match makes it be read again, since it
/// may be newer than ours, and for as long as a rotation lasts the previous one is accepted as well.
#[derive(Debug)]
pub struct SharedSecret {
    accepted: RwLock<Vec<SecretString>>,
    store: Option<Store>,
}

#[derive(Debug)]
struct Store {
    reader: SecretReader,
    arn: SecretArn,
    limits: Limits,
    last: Mutex<Option<(Instant, Result<(), SecretError>)>>,
}

/// How soon a mismatch may ask the store again: guessing must not become load on the store. After a failure
/// sooner, because who shows a new secret meanwhile is turned away.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) after_success: Duration,
    pub(super) after_failure: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { after_success: Duration::from_secs(30), after_failure: Duration::from_secs(1) }
    }
}

impl SharedSecret {
    /// Reads the secret's current value.
    ///
    /// # Errors
    /// [`SecretError`] when it cannot be read or is empty.
    pub async fn load(reader: SecretReader, arn: SecretArn) -> Result<Self, SecretError> {
        Self::load_with(reader, arn, Limits::default()).await
    }

    pub(super) async fn load_with(
        reader: SecretReader,
        arn: SecretArn,
        limits: Limits,
    ) -> Result<Self, SecretError> {
        let current = reader.read(&arn).await?;
        let store = Store { reader, arn, limits, last: Mutex::new(None) };
        Ok(Self { accepted: RwLock::new(vec![current]), store: Some(store) })
    }

    /// A secret known otherwise, that no store changes. An empty one matches nothing.
    #[must_use]
    pub fn fixed(secret: SecretString) -> Self {
        Self { accepted: RwLock::new(vec![secret]), store: None }
    }

    /// Whether `presented` is the secret. The comparison takes the same time for every value of the same length.
    /// On a mismatch the current and the previous version are read again, at most every 30 seconds.
    ///
    /// # Errors
    /// [`SecretError`] when they cannot be read: nobody knows then whether `presented` is right.
    pub async fn matches(&self, presented: &[u8]) -> Result<bool, SecretError> {
        if self.is_accepted(presented) {
            return Ok(true);
        }
        let Some(store) = &self.store else {
            return Ok(false);
        };
        let mut last = store.last.lock().await;
        // Another caller may have fetched it while this one waited for the lock.
        if self.is_accepted(presented) {
            return Ok(true);
        }
        if let Some((at, outcome)) = &*last {
            let limit = if outcome.is_ok() { store.limits.after_success } else { store.limits.after_failure };
            if at.elapsed() < limit {
                return outcome.clone().map(|()| false);
            }
        }
        let outcome = store.read_again().await.map(|secrets| {
            *self.accepted.write().unwrap_or_else(PoisonError::into_inner) = secrets;
        });
        *last = Some((Instant::now(), outcome.clone()));
        outcome.map(|()| self.is_accepted(presented))
    }

    fn is_accepted(&self, presented: &[u8]) -> bool {
        let accepted = self.accepted.read().unwrap_or_else(PoisonError::into_inner);
        let any = accepted.iter().map(SecretString::expose_secret).filter(|secret| !secret.is_empty());
        any.fold(Choice::from(0), |found, secret| found | secret.as_bytes().ct_eq(presented)).into()
    }
}

impl Store {
    async fn read_again(&self) -> Result<Vec<SecretString>, SecretError> {
        let current = self.reader.read_version(&self.arn, Version::Current);
        let previous = self.reader.read_version(&self.arn, Version::Previous);
        let (current, previous) = tokio::join!(current, previous);
        Ok(current?.into_iter().chain(previous?).collect())
    }
}
