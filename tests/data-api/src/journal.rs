//! What was asked, in order, and how it ended: for counting calls and for seeing which statements ran.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::config::Limits;
use crate::error::ErrorCode;
use crate::wire::{Operation, Request};

/// One call. Parameters are not kept: they may be secret.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// Counts from 1 since the server started, also across [`clear`](crate::DataApi::clear_journal).
    pub number: u64,
    /// When it arrived.
    pub at: Timestamp,
    /// Which operation.
    pub operation: Operation,
    /// `resourceArn`.
    pub arn: Option<String>,
    /// `secretArn`.
    pub secret_arn: Option<String>,
    /// `database`.
    pub database: Option<String>,
    /// `sql`, as the caller wrote it.
    pub sql: Option<String>,
    /// `transactionId`.
    pub transaction_id: Option<String>,
    /// How it ended; None while it runs.
    pub outcome: Option<Outcome>,
}

impl Call {
    fn size(&self) -> usize {
        let texts = [&self.arn, &self.secret_arn, &self.database, &self.sql, &self.transaction_id];
        size_of::<Self>() + texts.into_iter().flatten().map(String::len).sum::<usize>()
    }
}

/// How a call ended.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// What the caller was answered; None where it got no answer.
    pub status: Option<u16>,
    /// The error the caller was told, if it was one.
    pub error: Option<ErrorCode>,
    /// Whether the statement, or the operation, was carried out. With a fault injected after it ran, this is
    /// true although the caller was told otherwise.
    pub ran: bool,
    /// A fault was injected.
    pub fault: bool,
    /// From arrival to answer, in milliseconds.
    pub milliseconds: f64,
}

/// The latest calls.
pub(crate) struct Journal {
    largest: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    number: u64,
    size: usize,
    calls: VecDeque<Call>,
}

impl Journal {
    /// A journal of at most so many bytes as the limits say.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { largest: limits.journal_bytes, state: Mutex::default() }
    }

    /// Notes an arrival; answers its number.
    pub(crate) fn begin(&self, operation: Operation, request: &Request) -> u64 {
        let mut state = self.state();
        state.number += 1;
        let call = Call {
            number: state.number,
            at: Timestamp::now(),
            operation,
            arn: request.resource_arn.clone(),
            secret_arn: request.secret_arn.clone(),
            database: request.database.clone(),
            sql: request.sql.clone(),
            transaction_id: request.transaction_id.clone(),
            outcome: None,
        };
        let number = call.number;
        state.size += call.size();
        state.calls.push_back(call);
        while state.size > self.largest {
            let Some(oldest) = state.calls.pop_front() else { break };
            state.size -= oldest.size();
        }
        number
    }

    /// Notes how it ended.
    pub(crate) fn end(&self, number: u64, outcome: Outcome) {
        if let Some(call) = self.state().calls.iter_mut().rev().find(|call| call.number == number) {
            call.outcome = Some(outcome);
        }
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.state().calls.iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        let mut state = self.state();
        (state.calls, state.size) = (VecDeque::new(), 0);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Milliseconds with their fraction.
pub(crate) fn milliseconds(elapsed: Duration) -> f64 {
    elapsed.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_forgets_its_oldest_calls() {
        let journal = Journal::new(&Limits { journal_bytes: 100_000, ..Limits::default() });
        let request = Request { sql: Some("x".repeat(10_000)), ..Request::default() };
        for _ in 0..20 {
            journal.begin(Operation::ExecuteStatement, &request);
        }
        let numbers: Vec<u64> = journal.calls().iter().map(|call| call.number).collect();
        assert_eq!(numbers, (12..=20).collect::<Vec<u64>>());
        journal.begin(Operation::ExecuteStatement, &Request { sql: Some("x".repeat(200_000)), ..request });
        assert!(journal.calls().is_empty());
    }
}
