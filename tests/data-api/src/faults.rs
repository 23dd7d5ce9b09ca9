//! Faults on request: which calls they meet, how often, and what happens to those.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::ErrorCode;
use crate::wire::{Operation, Request};

/// A fault and the calls it meets. Of several that fit a call, the one added first acts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Only calls to this cluster.
    #[serde(default)]
    pub arn: Option<String>,
    /// Only this operation.
    #[serde(default)]
    pub operation: Option<Operation>,
    /// Only calls whose `sql` contains this.
    #[serde(default)]
    pub sql_contains: Option<String>,
    /// How many fitting calls pass unharmed first.
    #[serde(default)]
    pub skip: u32,
    /// How many calls it meets; None: all of them until it is cleared.
    #[serde(default)]
    pub times: Option<u32>,
    /// What happens.
    pub effect: Effect,
}

/// What happens to a call that meets a fault.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Effect {
    /// The caller is told this error, with the status the model gives it.
    Error {
        /// Which.
        code: ErrorCode,
        /// Before the statement runs, or after it ran and committed.
        #[serde(default)]
        when: When,
    },
    /// The caller gets this status with a body that is no error of the service, as from a proxy on the way.
    Status {
        /// For example 502.
        status: u16,
        /// Before the statement runs, or after.
        #[serde(default)]
        when: When,
    },
    /// The connection is cut without an answer.
    Cut {
        /// Before the statement runs, or after.
        #[serde(default)]
        when: When,
    },
    /// The statement runs; the answer stops in its middle.
    HalfAnswer,
    /// The answer never comes; the connection stays open.
    Hang {
        /// Before the statement runs, or after.
        #[serde(default)]
        when: When,
    },
    /// The statement runs after this time.
    Slow {
        /// How long the call is held up.
        milliseconds: u64,
    },
    /// The statement runs; its result is refused as too large.
    Oversized,
    /// The statement does not run: the secret is not valid for the database.
    WrongSecret,
}

/// On which side of the statement a fault lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// The statement does not run.
    #[default]
    Before,
    /// The statement runs and commits.
    After,
}

impl Fault {
    /// This effect on every call, until cleared.
    pub fn new(effect: Effect) -> Self {
        Self { arn: None, operation: None, sql_contains: None, skip: 0, times: None, effect }
    }

    /// A sleeping cluster that needs this many calls to wake.
    pub fn resuming(times: u32) -> Self {
        let code = ErrorCode::DatabaseResumingException;
        Self::new(Effect::Error { code, when: When::Before }).times(times)
    }

    /// This many calls are throttled.
    pub fn throttled(times: u32) -> Self {
        let code = ErrorCode::ThrottlingException;
        Self::new(Effect::Error { code, when: When::Before }).times(times)
    }

    /// Only calls to this cluster.
    #[must_use]
    pub fn on(mut self, arn: impl Into<String>) -> Self {
        self.arn = Some(arn.into());
        self
    }

    /// Only calls whose `sql` contains this.
    #[must_use]
    pub fn sql_contains(mut self, part: impl Into<String>) -> Self {
        self.sql_contains = Some(part.into());
        self
    }

    /// Only this operation.
    #[must_use]
    pub fn operation(mut self, operation: Operation) -> Self {
        self.operation = Some(operation);
        self
    }

    /// The first fitting calls pass unharmed.
    #[must_use]
    pub fn skip(mut self, calls: u32) -> Self {
        self.skip = calls;
        self
    }

    /// So many calls and no more.
    #[must_use]
    pub fn times(mut self, calls: u32) -> Self {
        self.times = Some(calls);
        self
    }

    fn fits(&self, operation: Operation, request: &Request) -> bool {
        let arn = self.arn.is_none() || self.arn == request.resource_arn;
        let op = self.operation.is_none_or(|wanted| wanted == operation);
        let sql = self
            .sql_contains
            .as_ref()
            .is_none_or(|part| request.sql.as_ref().is_some_and(|sql| sql.contains(part.as_str())));
        arn && op && sql
    }
}

impl Effect {
    /// How long the call is held up first.
    pub(crate) fn delay(&self) -> Option<Duration> {
        match self {
            Self::Slow { milliseconds } => Some(Duration::from_millis(*milliseconds)),
            _ => None,
        }
    }

    /// Whether the statement runs.
    pub(crate) fn runs(&self) -> bool {
        match self {
            Self::Error { when, .. }
            | Self::Status { when, .. }
            | Self::Cut { when }
            | Self::Hang { when } => *when == When::After,
            Self::HalfAnswer | Self::Slow { .. } | Self::Oversized => true,
            Self::WrongSecret => false,
        }
    }
}

#[derive(Default)]
pub(crate) struct Faults {
    list: Mutex<Vec<Fault>>,
}

impl Faults {
    pub(crate) fn add(&self, fault: Fault) {
        self.list().push(fault);
    }

    pub(crate) fn clear(&self) {
        self.list().clear();
    }

    pub(crate) fn pending(&self) -> Vec<Fault> {
        self.list().clone()
    }

    /// What happens to this call; counts it.
    pub(crate) fn meet(&self, operation: Operation, request: &Request) -> Option<Effect> {
        let mut list = self.list();
        for (index, fault) in list.iter_mut().enumerate() {
            if !fault.fits(operation, request) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            let effect = fault.effect.clone();
            match &mut fault.times {
                None => return Some(effect),
                Some(0) => continue,
                Some(left) => {
                    *left -= 1;
                    if *left == 0 {
                        list.remove(index);
                    }
                    return Some(effect);
                }
            }
        }
        None
    }

    fn list(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
